// Bars of a piece are clicked to say what shall change; the field with the stretch is the truth, and may be typed.
(() => {
  const field = () => document.querySelector("#edit-stretch textarea, #edit-stretch input");
  let last = null; // the bar that was clicked last, for a row of them
  let shown = null;

  const barsOf = (text) => { // "3-4, 7"; none where it is seconds
    const bars = new Set();
    if (/s\s*$/.test(text)) return bars;
    for (const word of text.split(/[,;]/)) {
      const match = /^\s*(\d{1,5})\s*(?:[-–]\s*(\d{1,5}))?\s*$/.exec(word);
      for (let bar = Number(match?.[1]); match && bar <= Math.min(Number(match[2] ?? match[1]), 99999); bar++) bars.add(bar);
    }
    return bars;
  };
  const textOf = (bars) => {
    const rows = [];
    for (const bar of [...bars].sort((a, b) => a - b))
      if (rows.length && rows.at(-1)[1] === bar - 1) rows.at(-1)[1] = bar;
      else rows.push([bar, bar]);
    return rows.map(([first, end]) => (first === end ? `${first}` : `${first}-${end}`)).join(", ");
  };
  const mark = () => {
    const picks = [...document.querySelectorAll(".mt-pick")], text = field()?.value ?? "";
    const now = `${text} ${picks.length} ${picks[0]?.parentElement.innerText.length}`;
    if (now === shown) return;
    shown = now;
    const bars = barsOf(text);
    for (const pick of picks) pick.setAttribute("aria-pressed", String(bars.has(Number(pick.dataset.bar))));
  };
  document.addEventListener("click", (event) => {
    const pick = event.target.closest?.(".mt-pick"), input = field();
    if (!pick || !input) return;
    const bars = barsOf(input.value), bar = Number(pick.dataset.bar), on = !bars.has(bar);
    const from = event.shiftKey && last !== null ? last : bar;
    for (let one = Math.min(from, bar); one <= Math.max(from, bar); one++) if (on) bars.add(one); else bars.delete(one);
    last = bar;
    input.value = textOf(bars);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    mark();
  });
  setInterval(mark, 200);
})();
