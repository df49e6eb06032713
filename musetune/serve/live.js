// The Live tab: frames of sound are laid end to end on the browser's audio clock; pads and faders are sent as they move.
// What lies ready unheard, and every gap, is shown: that is the delay of a change beside the way to the bar line.
window.mtLive = (() => {
  const LEAD_S = 0.15; // between the first chunk's arrival, or one that came too late, and its sound
  const BEAT_MS = 400; // how often the server is told what was heard
  let session = null; // { token, abort, context, next, scheduled, gaps, chords, sources, record }
  let chord = "I";

  const panel = () => document.querySelector(".mt-live");
  const part = (name) => panel()?.querySelector(`[data-live="${name}"]`);
  const problem = (text) => { part("problem").textContent = text; };

  const settings = () => {
    const values = { chords: chord, mix: {} };
    for (const input of panel().querySelectorAll("[data-setting]"))
      values[input.dataset.setting] = input.type === "range" ? Number(input.value) : input.value;
    for (const input of panel().querySelectorAll("[data-genre]")) values.mix[input.dataset.genre] = Number(input.value);
    return values;
  };
  const post = (address, body) => fetch(address, {
    method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), keepalive: true,
  });

  // -- the clock

  const ready = () => Math.max(0, session.next - session.context.currentTime);
  const heard = () => Math.max(0, session.scheduled - ready());

  const lay = (head, bytes) => {
    const { context } = session, sound = new Int16Array(bytes);
    const buffer = context.createBuffer(head.channels, head.samples, head.rate);
    for (let channel = 0; channel < head.channels; channel++) {
      const data = buffer.getChannelData(channel);
      for (let i = 0; i < head.samples; i++) data[i] = sound[i * head.channels + channel] / 32767;
    }
    if (session.next < context.currentTime + 0.005) {
      if (session.scheduled) session.gaps += 1;
      session.next = context.currentTime + LEAD_S;
    }
    const source = new AudioBufferSourceNode(context, { buffer });
    source.connect(session.output);
    source.start(session.next);
    session.sources.add(source);
    source.onended = () => session?.sources.delete(source);
    for (const [at, name] of head.chords) session.chords.push({ at: session.next + (at - head.from_s), name });
    if (session.record) session.record.push({ head, sound });
    session.next += head.samples / head.rate;
    session.scheduled += head.samples / head.rate;
    session.made = head.made_in_s;
  };

  const frames = async (reader) => {
    let bytes = new Uint8Array(0);
    const take = async (count) => {
      while (bytes.length < count) {
        const { value, done } = await reader.read();
        if (done) return null;
        const joined = new Uint8Array(bytes.length + value.length);
        joined.set(bytes);
        joined.set(value, bytes.length);
        bytes = joined;
      }
      const taken = bytes.slice(0, count);
      bytes = bytes.slice(count);
      return taken;
    };
    for (;;) {
      const size = await take(4);
      if (!size) return "The server went away.";
      const head = JSON.parse(new TextDecoder().decode(await take(new DataView(size.buffer).getUint32(0, true))));
      const sound = head.bytes ? await take(head.bytes) : null;
      if (head.token) session.token = head.token;
      if (sound) lay(head, sound.buffer);
      if (head.end !== undefined) return head.end;
    }
  };

  // -- start, stop, change

  const start = async () => {
    problem("");
    for (const audio of document.querySelectorAll("audio")) audio.pause();
    const context = new AudioContext({ sampleRate: Number(panel().dataset.rate), latencyHint: "interactive" });
    const mine = session = {
      token: null, abort: new AbortController(), context, output: new GainNode(context), next: 0, scheduled: 0, gaps: 0,
      chords: [], sources: new Set(), record: null, made: 0,
    };
    mine.output.connect(context.destination);
    show();
    let reason = "";
    try {
      const answer = await fetch("musetune/live", {
        method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(settings()),
        signal: mine.abort.signal,
      });
      reason = answer.ok ? await frames(answer.body.getReader()) : (await answer.json()).error;
    } catch (error) {
      reason = error.name === "AbortError" ? "" : `The connection broke: ${error.message}`;
    }
    if (session === mine) stop(reason);
  };
  const stop = (reason = "") => {
    const old = session;
    if (!old) return;
    keep(old);
    session = null;
    if (old.token) post(`musetune/live/${old.token}`, { stop: true }).catch(() => {});
    old.abort.abort();
    for (const source of old.sources) source.stop();
    old.context.close();
    problem(reason);
    show();
  };
  let timer = 0;
  const change = () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      if (!session) return;
      if (!session.token) { timer = setTimeout(change, 100); return; }
      const answer = await post(`musetune/live/${session.token}`, { heard_s: heard(), gaps: session.gaps, settings: settings() });
      problem(answer.ok ? "" : (await answer.json()).error);
    }, 30);
  };
  setInterval(() => {
    if (session?.token) post(`musetune/live/${session.token}`, { heard_s: heard(), gaps: session.gaps }).catch(() => {});
  }, BEAT_MS);

  // -- recording: what is played from here on, as a file

  const keep = (from) => {
    const chunks = from.record;
    from.record = null;
    if (!chunks?.length) return;
    const { rate, channels } = chunks[0].head, size = chunks.reduce((sum, { sound }) => sum + sound.byteLength, 0);
    const head = new DataView(new ArrayBuffer(44));
    const ascii = (at, text) => [...text].forEach((letter, index) => head.setUint8(at + index, letter.charCodeAt(0)));
    ascii(0, "RIFF"); ascii(8, "WAVEfmt "); ascii(36, "data");
    for (const [at, value] of [[4, 36 + size], [16, 16], [24, rate], [28, rate * channels * 2], [40, size]]) head.setUint32(at, value, true);
    for (const [at, value] of [[20, 1], [22, channels], [32, channels * 2], [34, 16]]) head.setUint16(at, value, true);
    const link = part("recording");
    if (link.href.startsWith("blob:")) URL.revokeObjectURL(link.href);
    link.href = URL.createObjectURL(new Blob([head, ...chunks.map(({ sound }) => sound)], { type: "audio/wav" }));
    link.hidden = false;
  };
  const record = () => {
    if (!session) return;
    if (session.record) keep(session); else session.record = [];
    show();
  };

  // -- what is seen

  const show = () => {
    const on = Boolean(session), button = part("start"), rec = part("record");
    button.textContent = on ? "■ Stop" : "▶ Start";
    rec.disabled = !on;
    rec.setAttribute("aria-pressed", String(Boolean(session?.record)));
    if (!on) { part("now").textContent = "–"; part("next").textContent = ""; }
    mark();
  };
  const mark = () => {
    for (const pad of part("pads").querySelectorAll(".mt-pad"))
      pad.setAttribute("aria-pressed", String(Boolean(session) && pad.dataset.numeral === chord));
  };
  const follow = () => {
    if (session && panel()?.offsetParent) {
      const time = session.context.currentTime;
      while (session.chords.length > 1 && session.chords[1].at <= time) session.chords.shift();
      const [now, next] = session.chords;
      const name = now && now.at <= time ? now.name : "–";
      if (part("now").textContent !== name) part("now").textContent = name;
      const later = next && next.name !== name ? `next ${next.name}` : "";
      if (part("next").textContent !== later) part("next").textContent = later;
    }
    requestAnimationFrame(follow);
  };
  const facts = () => {
    if (!session || !panel()) return;
    const { context, gaps, made } = session, card = Math.round(1000 * (context.baseLatency + (context.outputLatency || 0)));
    part("facts").textContent = session.scheduled
      ? `${ready().toFixed(1)} s lie ready: a change is heard at the next bar line, or soon after one that is nearer. The last chunk took ${made.toFixed(1)} s; `
        + `sound card ${card} ms; gaps: ${gaps}.` + (session.record ? " Recording." : "")
      : "The first bar is being made …";
  };
  setInterval(facts, 250);

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".mt-live [data-live]"), pad = event.target.closest?.('.mt-live [data-live="pads"] .mt-pad');
    if (pad) {
      chord = pad.dataset.numeral;
      mark();
      if (session) change();
      else window.mtSynth.play(pad.dataset.notes.split(" ").filter(Boolean).map(Number));
      return;
    }
    if (button?.dataset.live === "start") session ? stop() : start();
    if (button?.dataset.live === "record") record();
    if (button?.dataset.live === "round") {
      chord = part("progression").value;
      mark();
      if (session) change(); else start();
    }
  });
  document.addEventListener("input", (event) => {
    if (!event.target.closest?.(".mt-live")) return;
    const output = event.target.parentElement.querySelector("output");
    if (output) output.textContent = event.target.value;
    if (event.target.matches("[data-setting], [data-genre]")) change();
  });
  document.addEventListener("change", async (event) => {
    if (!event.target.matches?.('.mt-live [data-setting="key"]')) return;
    const answer = await fetch(`musetune/pads?key=${encodeURIComponent(event.target.value)}`);
    if (answer.ok) { part("pads").innerHTML = await answer.text(); mark(); }
  });
  addEventListener("pagehide", () => stop());
  follow();
  return { get session() { return session; } };
})();
