// Level, Pan, Mute and Solo act on the audio: the players are added up here as musetune/audio/mixing.py does, so nothing
// is generated anew. "Write the mix" sends the same faders to the server, which writes all formats.
(() => {
  const on = { mute: new Set(), solo: new Set() }, moved = {}; // moved: player → { level, pan } where a fader was touched
  const audible = (player) => (on.solo.size ? on.solo.has(player) : !on.mute.has(player));
  const sounds = new Map(); // address → promise of a player's samples
  const stems = (box) => JSON.parse(box.dataset.stems);
  const table = (box, row) => Object.fromEntries(Object.entries(stems(box)).map(([player, stem]) => [player, row(player, stem)]));
  const faders = (box) => table(box, (player, stem) => ({
    level_db: moved[player]?.level ?? 0, pan: moved[player]?.pan ?? stem.pan, mute: on.mute.has(player), solo: on.solo.has(player),
  }));
  const untouched = (box) => table(box, (_, stem) => ({ level_db: 0, pan: stem.pan, mute: false, solo: false }));
  window.mtFaders = () => { const box = document.querySelector(".mt-mix"); return box ? faders(box) : {}; };

  const samples = (address) => {
    if (!sounds.has(address)) sounds.set(address, read(address));
    return sounds.get(address);
  };
  const read = async (address) => {
    const bytes = await (await fetch(address)).arrayBuffer(), view = new DataView(bytes);
    let at = 12, rate = 0, channels = 1;
    while (view.getUint32(at, false) !== 0x64617461) { // "data"
      if (view.getUint32(at, false) === 0x666d7420) [channels, rate] = [view.getUint16(at + 10, true), view.getUint32(at + 12, true)]; // "fmt "
      at += 8 + view.getUint32(at + 4, true);
    }
    return { rate, channels, data: new Int16Array(bytes.slice(at + 8, at + 8 + view.getUint32(at + 4, true))) };
  };
  const wav = (rate, channels, data) => {
    const head = new DataView(new ArrayBuffer(44)), bytes = data.length * 2;
    [..."RIFF    WAVEfmt "].forEach((letter, at) => head.setUint8(at, letter.charCodeAt(0)));
    head.setUint32(4, 36 + bytes, true);
    [[16, 16, 4], [20, 1, 2], [22, channels, 2], [24, rate, 4], [28, rate * channels * 2, 4], [32, channels * 2, 2], [34, 16, 2], [40, bytes, 4]].forEach(
      ([at, value, size]) => (size === 4 ? head.setUint32(at, value, true) : head.setUint16(at, value, true)));
    [..."data"].forEach((letter, at) => head.setUint8(36 + at, letter.charCodeAt(0)));
    return new Blob([head, data], { type: "audio/wav" });
  };
  const add = (total, part, from, seat) => { // a pan keeps the middle and makes the side (1 − |p|)·S − p·M
    const gain = 10 ** (seat.level_db / 20), spread = (1 - Math.abs(seat.pan)) / (1 - Math.abs(from)), { data, channels } = part;
    for (let i = 0, n = total.length / 2; i < n; i++) {
      const left = data[i * channels], right = data[i * channels + channels - 1], middle = (left + right) / 2;
      const side = spread * ((left - right) / 2 + from * middle) - seat.pan * middle;
      total[2 * i] += gain * (middle + side);
      total[2 * i + 1] += gain * (middle - side);
    }
  };
  const rounded = (total) => {
    let peak = 32767;
    for (const value of total) peak = Math.max(peak, Math.abs(value));
    return Int16Array.from(total, (value) => Math.round((value * 32767) / peak));
  };

  let turn = 0;
  const mix = async (box) => {
    const mine = ++turn, players = stems(box), names = Object.keys(players), heard = names.filter(audible), seats = faders(box);
    const state = JSON.stringify(seats);
    let address = box.dataset.whole;
    if (state !== (box.dataset.mixed || JSON.stringify(untouched(box)))) {
      const parts = await Promise.all(names.map((name) => samples(players[name].file)));
      const length = Math.min(...parts.map((part) => part.data.length / part.channels)), total = new Float32Array(2 * length);
      names.forEach((name, index) => audible(name) && add(total, parts[index], players[name].pan, seats[name]));
      address = URL.createObjectURL(wav(parts[0].rate, 2, rounded(total)));
    }
    if (mine !== turn) return;
    const audio = box.querySelector("audio"), { currentTime, paused } = audio;
    if (audio.src.startsWith("blob:")) URL.revokeObjectURL(audio.src);
    audio.src = box.querySelector(".mt-download").href = address;
    audio.currentTime = currentTime;
    audio.closest(".mt-player").mtDrawn = false; // its waveform is another
    if (!paused) audio.play();
    const other = address.startsWith("blob:") ? " The WAV is this mix; “Write the mix” makes the other files of it." : "";
    box.querySelector(".mt-heard").textContent = (heard.length < names.length ? `Heard: ${heard.join(", ") || "nobody"}.` : "") + other;
    box.dataset.state = state;
  };

  const show = () => {
    const box = document.querySelector(".mt-mix"), seats = box ? faders(box) : {};
    for (const row of document.querySelectorAll(".mt-cast-row[data-player]")) {
      const player = row.dataset.player;
      row.classList.toggle("mt-silent", !audible(player));
      for (const button of row.querySelectorAll("[aria-pressed]"))
        button.setAttribute("aria-pressed", on[button.dataset.act].has(player));
      const sound = row.querySelector('[data-act="resound"]');
      sound.disabled = !(player in seats);
      sound.title = sound.disabled ? "Another sound, once there is audio" : "Another sound of the same notes";
      for (const fader of row.querySelectorAll(".mt-fader")) {
        fader.disabled = !(player in seats);
        if (!fader.disabled) fader.value = seats[player][fader.dataset.act === "level" ? "level_db" : "pan"];
      }
    }
    if (!box) return;
    const now = JSON.stringify(seats), before = box.dataset.state ?? (box.dataset.mixed || JSON.stringify(untouched(box)));
    if (before !== now) mix(box);
  };
  let resting; // faders are added up when they rest
  document.addEventListener("input", (event) => {
    const fader = event.target.closest?.(".mt-fader"), player = fader?.closest(".mt-cast-row").dataset.player;
    if (!fader) return;
    (moved[player] ??= {})[fader.dataset.act] = Number(fader.value);
    clearTimeout(resting);
    resting = setTimeout(show, 150);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".mt-cast-button"), player = button?.closest(".mt-cast-row").dataset.player;
    if (!button) return;
    if (["anew", "resound"].includes(button.dataset.act)) return document.querySelector(`#${button.dataset.act}-${player}`)?.click();
    const set = on[button.dataset.act];
    set.has(player) ? set.delete(player) : set.add(player);
    show();
  });
  let shown = null; // which notes and which audio: an update may fill old elements with new ones
  const frame = () => { // new rolls take over what is muted; the line moves with the audio
    const cast = document.querySelector(".mt-cast"), box = document.querySelector(".mt-mix");
    const now = `${document.querySelector("#song-cast .mt-download")?.href} ${box?.dataset.whole}`;
    if (now !== shown) {
      if (box) delete box.dataset.state;
      show();
    }
    shown = now;
    const audio = box?.querySelector("audio");
    if (cast) cast.style.setProperty("--at", audio ? (Number(box.dataset.from) + audio.currentTime) / Number(cast.dataset.seconds) : -1);
    requestAnimationFrame(frame);
  };
  frame();
})();
