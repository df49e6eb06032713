// The board of the Live tab's progression. pads.js writes and moves chords; here the server's words follow the text, the
// key, the meter and the tempo, which stand in fields that are no gradio's.
(() => {
  const WAIT_MS = 60; // while somebody types
  const part = (name) => document.querySelector(`.mt-live [data-live="${name}"]`);
  const setting = (name) => document.querySelector(`.mt-live [data-setting="${name}"]`);
  const ask = (address, values) => fetch(`musetune/${address}?${new URLSearchParams(values)}`);
  const set = (field, value) => { // as if a hand had done it
    field.value = value;
    for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
  };
  const chart = () => ({
    text: part("progression").value, key: setting("key").value, meter: setting("meter").value, bpm: setting("bpm").value,
  });

  let timer = 0, asked = 0;
  const follow = () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const mine = ++asked, answer = await ask("words", chart());
      if (answer.ok && mine === asked) part("words").innerHTML = await answer.text();
    }, WAIT_MS);
  };
  document.addEventListener("input", (event) => {
    const { live, setting: name } = event.target.dataset ?? {};
    if (live === "progression" || (event.target.closest?.(".mt-live") && ["key", "meter", "bpm"].includes(name))) follow();
  });
  document.addEventListener("change", async (event) => {
    if (!event.target.matches?.('.mt-live [data-setting="key"]')) return;
    const answer = await ask("pads", { key: event.target.value, name: "Chord pads" });
    if (answer.ok) part("board").innerHTML = await answer.text();
  });
  document.addEventListener("mt-tell", ({ target, detail }) => { // tap, and the key that undo brings back
    if (!target.closest(".mt-live")) return;
    if (detail.bpm) set(setting("bpm"), detail.bpm);
    if (detail.key) set(setting("key"), detail.key);
  });
  document.addEventListener("click", async (event) => {
    const tool = event.target.closest?.('.mt-live [data-tool="lower"], .mt-live [data-tool="raise"]');
    if (!tool) return;
    const answer = await ask("transposed", { ...chart(), semitones: tool.dataset.tool === "raise" ? 1 : -1 });
    if (!answer.ok) return;
    const { text, key } = await answer.json();
    set(part("progression"), text);
    set(setting("key"), key);
  });
})();
