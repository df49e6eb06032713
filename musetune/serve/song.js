// Mute and Solo act on the audio: the players that are on are added up here, so nothing is generated anew.
(() => {
  const on = { mute: new Set(), solo: new Set() };
  const audible = (player) => (on.solo.size ? on.solo.has(player) : !on.mute.has(player));
  const sounds = new Map(); // address → promise of a player's samples

  const samples = (address) => {
    if (!sounds.has(address)) sounds.set(address, read(address));
    return sounds.get(address);
  };
  const read = async (address) => {
    const bytes = await (await fetch(address)).arrayBuffer(), view = new DataView(bytes);
    let at = 12, rate = 0;
    while (view.getUint32(at, false) !== 0x64617461) { // "data"
      if (view.getUint32(at, false) === 0x666d7420) rate = view.getUint32(at + 12, true); // "fmt "
      at += 8 + view.getUint32(at + 4, true);
    }
    return { rate, data: new Int16Array(bytes.slice(at + 8, at + 8 + view.getUint32(at + 4, true))) };
  };
  const wav = (rate, data) => {
    const head = new DataView(new ArrayBuffer(44)), bytes = data.length * 2;
    [..."RIFF    WAVEfmt "].forEach((letter, at) => head.setUint8(at, letter.charCodeAt(0)));
    head.setUint32(4, 36 + bytes, true);
    [[16, 16, 4], [20, 1, 2], [22, 1, 2], [24, rate, 4], [28, rate * 2, 4], [32, 2, 2], [34, 16, 2], [40, bytes, 4]].forEach(
      ([at, value, size]) => (size === 4 ? head.setUint32(at, value, true) : head.setUint16(at, value, true)));
    [..."data"].forEach((letter, at) => head.setUint8(36 + at, letter.charCodeAt(0)));
    return new Blob([head, data], { type: "audio/wav" });
  };
  const sum = (parts, length) => {
    const total = new Float32Array(length);
    for (const part of parts) for (let i = 0; i < length; i++) total[i] += part[i];
    let peak = 32767;
    for (const value of total) peak = Math.max(peak, Math.abs(value));
    return Int16Array.from(total, (value) => Math.round((value * 32767) / peak));
  };

  let turn = 0;
  const mix = async (box) => {
    const mine = ++turn, files = JSON.parse(box.dataset.stems), names = Object.keys(files), heard = names.filter(audible);
    let address = box.dataset.whole;
    if (heard.length < names.length) {
      const parts = await Promise.all(names.map((name) => samples(files[name])));
      const length = Math.min(...parts.map((part) => part.data.length));
      const chosen = parts.filter((_, index) => audible(names[index])).map((part) => part.data);
      address = URL.createObjectURL(wav(parts[0].rate, sum(chosen, length)));
    }
    if (mine !== turn) return;
    const audio = box.querySelector("audio"), { currentTime, paused } = audio;
    if (audio.src.startsWith("blob:")) URL.revokeObjectURL(audio.src);
    audio.src = box.querySelector(".mt-download").href = address;
    audio.currentTime = currentTime;
    audio.closest(".mt-player").mtDrawn = false; // its waveform is another
    if (!paused) audio.play();
    box.querySelector(".mt-heard").textContent = heard.length < names.length ? `Heard: ${heard.join(", ") || "nobody"}.` : "";
    box.dataset.heard = heard.join(" ");
  };

  const show = () => {
    for (const row of document.querySelectorAll(".mt-cast-row[data-player]")) {
      row.classList.toggle("mt-silent", !audible(row.dataset.player));
      for (const button of row.querySelectorAll("[aria-pressed]"))
        button.setAttribute("aria-pressed", on[button.dataset.act].has(row.dataset.player));
    }
    for (const box of document.querySelectorAll(".mt-mix")) {
      const heard = Object.keys(JSON.parse(box.dataset.stems)).filter(audible).join(" ");
      if ((box.dataset.heard ?? Object.keys(JSON.parse(box.dataset.stems)).join(" ")) !== heard) mix(box);
    }
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".mt-cast-button"), player = button?.closest(".mt-cast-row").dataset.player;
    if (!button) return;
    if (button.dataset.act === "anew") return document.querySelector(`#anew-${player}`)?.click();
    const set = on[button.dataset.act];
    set.has(player) ? set.delete(player) : set.add(player);
    show();
  });
  let shown = null; // which notes and which audio: an update may fill old elements with new ones
  const frame = () => { // new rolls take over what is muted; the line moves with the audio
    const cast = document.querySelector(".mt-cast"), box = document.querySelector(".mt-mix");
    const now = `${document.querySelector("#song-cast .mt-download")?.href} ${box?.dataset.whole}`;
    if (now !== shown) {
      if (box) delete box.dataset.heard;
      show();
    }
    shown = now;
    const audio = box?.querySelector("audio");
    if (cast) cast.style.setProperty("--at", audio ? (Number(box.dataset.from) + audio.currentTime) / Number(cast.dataset.seconds) : -1);
    requestAnimationFrame(frame);
  };
  frame();
})();
