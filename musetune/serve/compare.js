// The Compare tab: plays A and B, counts what is heard, gives verdicts by click and key.
const REASON_KEYS = { c: "chords", r: "rhythm", s: "sound", w: "words" };
const VERDICT_KEYS = { 1: "A", 2: "B", 3: "equal", 4: "both bad" };
let heard = { A: 0, B: 0 }, last = {}, playing = null; // the one that played last
let token = null, sent = null, used = false;

const pair = () => element.querySelector(".mt-pair");
const sideOf = (audio) => audio.closest("[data-side]")?.dataset.side;
const audioOf = (side) => element.querySelector(`.mt-pair-side[data-side="${side}"] audio`);

const judge = (verdict) => {
  const now = pair()?.dataset.token;
  if (!now || now === sent) return;
  sent = now;
  used = true;
  const reasons = [...element.querySelectorAll("input[name=reason]:checked")].map((box) => box.value);
  for (const audio of element.querySelectorAll("audio")) audio.pause();
  trigger("click", { token: now, verdict, reasons, heard: [heard.A, heard.B] });
};

const play = (side) => { // or pause; from where the other one was, so that one compares in the middle of the music
  const audio = audioOf(side), other = audioOf(side === "A" ? "B" : "A");
  if (!audio) return;
  if (!audio.paused) return audio.pause();
  if (other && playing === other) audio.currentTime = other.currentTime < (audio.duration || 0) ? other.currentTime : 0;
  other?.pause();
  audio.play();
};

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-verdict]");
  if (button) judge(button.dataset.verdict);
});

element.addEventListener("play", (event) => { playing = event.target; }, true);

element.addEventListener("seeking", (event) => { last[sideOf(event.target)] = event.target.currentTime; }, true);

element.addEventListener("timeupdate", (event) => {
  const side = sideOf(event.target), step = event.target.currentTime - (last[side] ?? 0);
  if (side && step > 0 && step < 1) heard[side] += step;
  if (side) last[side] = event.target.currentTime;
}, true);

document.addEventListener("keydown", (event) => {
  if (!element.isConnected || element.offsetParent === null || !pair()) return;
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (!document.querySelector("#compare-keys input")?.checked) return;
  if (event.target.closest?.("input:not([type=checkbox]), textarea, select")) return; // one types
  const key = event.key.toLowerCase();
  if (key === "a" || key === "b") play(key.toUpperCase());
  else if (VERDICT_KEYS[key]) judge(VERDICT_KEYS[key]);
  else if (key === "u") { used = true; trigger("click", { action: "back" }); }
  else if (REASON_KEYS[key]) {
    const box = element.querySelector(`input[name=reason][value="${REASON_KEYS[key]}"]`);
    box.checked = !box.checked;
  } else return;
  event.preventDefault();
});

let news = ""; // of the work that makes pairs: where none is shown, the first that is ready is
setInterval(() => {
  const now = document.querySelector("#compare-status")?.textContent.match(/pair \d+|new pairs?/)?.[0] ?? "";
  if (now === news) return;
  news = now;
  if (now && !pair()) document.querySelector("#compare-next")?.click();
}, 1000);

const renew = () => { // another pair: count anew, and go on where a reader of the page was
  const now = pair()?.dataset.token ?? null;
  if (now === token) return;
  token = now;
  heard = { A: 0, B: 0 };
  last = {};
  playing = null;
  for (const box of element.querySelectorAll("input[name=reason]")) box.checked = false;
  if (used) element.querySelector("h2")?.focus({ preventScroll: true });
  used = false;
};
new MutationObserver(renew).observe(element, { subtree: true, childList: true, attributes: true, attributeFilter: ["data-token"] });
renew();
