// Chord pads: a click is heard and written into the text; chords of the text are heard, moved and taken out.
// The text is the truth. The server says which words it has and what they sound like; here they are only put elsewhere.
(() => {
  const SYNC_MS = 5000; // how long a change waits for the server to have read the text before it
  const HALF_MS = 10000; // how long text and key of a transposition may follow each other on a busy machine
  const BACK_MS = 20000; // how long what was undone may still come from the server
  const states = new WeakMap(); // board → its selection, history, and what waits

  const stateOf = (board) => {
    if (!states.has(board)) states.set(board, { selected: -1, past: [], future: [], now: null, from: null, until: 0, moving: 0, queue: Promise.resolve() });
    return states.get(board);
  };
  const tools = (board) => board.querySelector(".mt-tools");
  const words = (board) => board.querySelector(".mt-words");
  const chips = (board) => [...board.querySelectorAll(".mt-chip")];
  const field = (board) => {
    const name = tools(board)?.dataset.field;
    return name ? document.querySelector(`#${name} textarea, #${name} input`) : null;
  };
  const notes = (element) => element.dataset.notes.split(" ").filter(Boolean).map(Number);
  const say = (board, text) => { tools(board).querySelector(".mt-say").textContent = text; };

  const tell = (board, detail) => tools(board).dispatchEvent(new CustomEvent("mt-tell", { bubbles: true, detail }));
  const write = (board, text) => {
    field(board).value = text;
    field(board).dispatchEvent(new Event("input", { bubbles: true }));
  };

  // -- one change after the other, each on words that belong to the text

  const inSync = async (board) => {
    const until = performance.now() + SYNC_MS;
    while (words(board)?.dataset.text !== field(board).value) {
      if (performance.now() > until) return false;
      await new Promise((done) => setTimeout(done, 15));
    }
    return true;
  };
  const change = (board, edit) => {
    const state = stateOf(board);
    state.queue = state.queue.then(async () => {
      if (!(await inSync(board))) return say(board, "The text could not be read yet; try again.");
      const pieces = piecesOf(board), before = field(board).value;
      const text = edit(pieces);
      if (text !== null && text !== before) {
        remember(board);
        state.own = text;
        write(board, text);
      }
      await inSync(board);
      remember(board);
      mark(board);
    });
    return state.queue;
  };

  // the text in pieces: each word with the gap before it
  const piecesOf = (board) => {
    const text = field(board).value;
    let at = 0;
    const pieces = [...board.querySelectorAll(".mt-word")].map((word) => {
      const from = Number(word.dataset.from), to = Number(word.dataset.to);
      const piece = { gap: text.slice(at, from), text: text.slice(from, to), kind: word.dataset.kind };
      at = to;
      return piece;
    });
    pieces.tail = text.slice(at);
    return pieces;
  };
  const join = (pieces) => pieces.map(({ gap, text }) => gap + text).join("") + (pieces.tail ?? "");
  const chordAt = (pieces, index) => { // the piece of the chord with this number
    let count = -1;
    return pieces.findIndex(({ kind }) => kind === "chord" && ++count === index);
  };
  const word = (text, kind = "chord") => ({ gap: " ", text, kind });

  const insert = (board, name) => change(board, (pieces) => {
    const state = stateOf(board), count = pieces.filter(({ kind }) => kind === "chord").length;
    const at = chordAt(pieces, state.selected);
    const after = (index) => { while (pieces[index + 1]?.kind === "hold") index++; return index + 1; };
    if (at >= 0) {
      pieces.splice(after(at), 0, word(name));
      state.selected += 1;
    } else {
      const barred = pieces.some(({ kind }) => kind === "line");
      if (barred && pieces.at(-1).kind !== "line") pieces.push(word("|", "line"));
      pieces.push(word(name), ...(barred ? [word("|", "line")] : []));
      if (pieces.length === 1) pieces[0].gap = "";
      pieces.tail = "";
    }
    say(board, `${name} is chord ${at >= 0 ? state.selected + 1 : count + 1}.`);
    return join(pieces);
  });

  // the chords between two places move up by one; bars and holds stay where they are
  const move = (board, from, to) => change(board, (pieces) => {
    const slots = pieces.filter(({ kind }) => kind === "chord");
    if (!slots[from] || !slots[to] || from === to) return null;
    const names = slots.map(({ text }) => text);
    names.splice(to, 0, names.splice(from, 1)[0]);
    slots.forEach((slot, index) => { slot.text = names[index]; });
    stateOf(board).selected = to;
    say(board, `${names[to]} is chord ${to + 1} of ${names.length}.`);
    return join(pieces);
  });

  const remove = (board, index) => change(board, (pieces) => {
    const at = chordAt(pieces, index);
    if (at < 0) return null;
    let count = 1;
    while (pieces[at + count]?.kind === "hold") count++;
    const [gone] = pieces.splice(at, count), before = pieces[at - 1], after = pieces[at];
    if (at === 0 && after) after.gap = gone.gap;
    if (before?.kind === "line" && after?.kind === "line" && before.text === "|") {
      if (after.text === "|") pieces.splice(at, 1); // no bar is left empty
      else pieces.splice(at - 1, 1);
    }
    stateOf(board).selected = Math.min(index, pieces.filter(({ kind }) => kind === "chord").length - 1);
    say(board, `${gone.text} is removed.`);
    return join(pieces);
  });

  const toggleBar = (board) => change(board, (pieces) => {
    const at = chordAt(pieces, stateOf(board).selected);
    if (!pieces.some(({ kind }) => kind === "line")) {
      for (let index = pieces.length - 1; index > 0; index--)
        if (pieces[index].kind === "chord") pieces.splice(index, 0, word("|", "line"));
      pieces.unshift({ gap: "", text: "|", kind: "line" });
      if (pieces[1]) pieces[1].gap = " ";
      pieces.push(word("|", "line"));
      return join(pieces);
    }
    if (at < 0) return null;
    let next = at + 1;
    while (pieces[next]?.kind === "hold") next++;
    if (next >= pieces.length - 1) return null;
    if (pieces[next].kind === "line" && pieces[next].text === "|") pieces.splice(next, 1);
    else if (pieces[next].kind === "chord") pieces.splice(next, 0, word("|", "line"));
    return join(pieces);
  });

  // -- what was: text and key together, whenever the server has read both

  const same = (one, other) => one?.text === other?.text && one?.key === other?.key;
  const remember = (board) => {
    if (!words(board) || words(board).dataset.text !== field(board)?.value) return;
    const state = stateOf(board), is = { text: field(board).value, key: words(board).dataset.key };
    const stale = [state.now?.text, state.from?.text].includes(is.text); // what was undone is still on its way
    if (state.until > performance.now() && !same(is, state.now) && stale) return;
    state.until = 0;
    const half = state.now && (is.text === state.now.text) !== (is.key === state.now.key);
    if (half && state.moving > performance.now()) return; // the server may read a moved text in the old key first
    if (state.now && !same(is, state.now)) {
      state.moving = 0;
      state.past.push(state.now);
      state.past.splice(0, state.past.length - 200);
      state.future = [];
    }
    if (is.text !== state.own && is.text !== state.now?.text) { // typed, or another text: nothing is selected
      state.selected = -1;
      mark(board);
    }
    state.now = is;
    const can = { undo: state.past.length > 0, redo: state.future.length > 0 };
    for (const [name, possible] of Object.entries(can)) {
      const button = tools(board).querySelector(`[data-tool=${name}]`);
      if (button.disabled === possible) button.disabled = !possible;
    }
  };
  const goBack = (board, from, to) => {
    stateOf(board).moving = 0;
    remember(board);
    const state = stateOf(board), there = state[from].pop();
    if (!there) return;
    state[to].push(state.now);
    state.from = state.now;
    state.now = there;
    state.until = performance.now() + BACK_MS;
    state.selected = -1;
    write(board, there.text);
    if ([words(board).dataset.key, state.from.key].some((key) => key !== there.key)) tell(board, { key: there.key }); // the words may lag
    say(board, from === "past" ? "Undone." : "Redone.");
  };
  setInterval(() => { for (const board of document.querySelectorAll(".mt-board")) remember(board); }, 200);

  // -- hearing

  let stopAt = 0;
  const hear = (board) => {
    window.mtSynth.stop();
    if (performance.now() < stopAt) { stopAt = 0; return; } // the second press stops it
    const schedule = JSON.parse(words(board).dataset.schedule), beat = 60 / Number(words(board).dataset.bpm);
    if (!schedule.length) return say(board, "This cannot be read yet.");
    for (const [start, beats, pitches] of schedule) window.mtSynth.play(pitches, start * beat, beats * beat * 0.92);
    const [start, beats] = schedule.at(-1);
    stopAt = performance.now() + (start + beats) * beat * 1000;
  };

  const taps = [];
  const tap = (board) => {
    const at = performance.now();
    if (taps.length && at - taps.at(-1) > 2100) taps.length = 0;
    taps.push(at);
    if (taps.length > 9) taps.shift();
    if (taps.length < 3) return say(board, "Tap on …");
    const gaps = taps.slice(1).map((one, index) => one - taps[index]).sort((a, b) => a - b);
    const middle = gaps.length % 2 ? gaps[(gaps.length - 1) / 2] : (gaps[gaps.length / 2 - 1] + gaps[gaps.length / 2]) / 2;
    const bpm = Math.min(300, Math.max(30, Math.round(60000 / middle)));
    tell(board, { bpm });
    say(board, `${bpm} beats a minute.`);
  };

  // -- which chord is selected, which is reached with Tab

  const mark = (board) => {
    const state = stateOf(board), all = chips(board);
    if (state.selected >= all.length) state.selected = -1;
    all.forEach((chip, index) => {
      chip.setAttribute("aria-pressed", String(index === state.selected));
      chip.tabIndex = index === Math.max(0, state.selected) ? 0 : -1;
    });
    if (state.focus && all[state.selected]) { all[state.selected].focus(); state.focus = false; }
  };
  const rove = (items, from, step) => {
    const next = items[(items.indexOf(from) + step + items.length) % items.length];
    for (const item of items) item.tabIndex = item === next ? 0 : -1;
    next.focus();
  };
  const reachable = () => { // words and pads that the server sent anew
    for (const board of document.querySelectorAll(".mt-board")) {
      if (board.querySelector(".mt-chip") && !board.querySelector('.mt-chip[tabindex="0"]')) mark(board);
    }
    for (const pads of document.querySelectorAll(".mt-pads"))
      if (!pads.querySelector('.mt-pad[tabindex="0"]')) pads.querySelector(".mt-pad").tabIndex = 0;
  };
  setInterval(reachable, 200);

  // -- mouse, finger, keyboard

  const act = (board, tool) => {
    const state = stateOf(board);
    if (tool === "undo") goBack(board, "past", "future");
    if (tool === "redo") goBack(board, "future", "past");
    if (tool === "bar") toggleBar(board);
    if (tool === "remove") remove(board, state.selected);
    if (tool === "hear") hear(board);
    if (tool === "tap") tap(board);
    if (tool === "raise" || tool === "lower") { // the server moves text and key; what it moves is what undo brings back
      remember(board);
      state.moving = performance.now() + HALF_MS;
    }
    if (tool === "sevenths") {
      const on = board.classList.toggle("mt-with-sevenths");
      tools(board).querySelector("[data-tool=sevenths]").setAttribute("aria-pressed", String(on));
    }
  };
  let drag = null; // { board, from, chip, x, y, moved, to }
  document.addEventListener("click", (event) => {
    const board = event.target.closest?.(".mt-board");
    if (!board) return;
    const tool = event.target.closest(".mt-tool"), pad = event.target.closest(".mt-pad"), chip = event.target.closest(".mt-chip");
    if (tool) act(board, tool.dataset.tool);
    if (pad) {
      window.mtSynth.play(notes(pad));
      insert(board, words(board).dataset.numerals === "true" ? pad.dataset.numeral : pad.dataset.chord);
    }
    if (chip && !drag?.moved) {
      const state = stateOf(board), index = chips(board).indexOf(chip);
      state.selected = state.selected === index ? -1 : index;
      window.mtSynth.play(notes(chip));
      mark(board);
    }
    drag = null;
  });
  document.addEventListener("pointerdown", (event) => {
    const chip = event.target.closest?.(".mt-board .mt-chip");
    if (!chip || event.button) return;
    const board = chip.closest(".mt-board");
    drag = { board, chip, from: chips(board).indexOf(chip), x: event.clientX, y: event.clientY, moved: false, to: -1 };
  });
  document.addEventListener("pointermove", (event) => {
    if (!drag) return;
    if (!drag.moved && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < 6) return;
    if (!drag.moved) { drag.moved = true; drag.chip.setPointerCapture?.(event.pointerId); drag.chip.classList.add("mt-dragged"); }
    const all = chips(drag.board);
    const away = all.map((chip) => {
      const box = chip.getBoundingClientRect();
      return Math.hypot(event.clientX - (box.left + box.width / 2), 3 * (event.clientY - (box.top + box.height / 2)));
    });
    drag.to = away.indexOf(Math.min(...away));
    all.forEach((chip, index) => {
      chip.classList.toggle("mt-drop-before", index === drag.to && drag.to < drag.from);
      chip.classList.toggle("mt-drop-after", index === drag.to && drag.to > drag.from);
    });
  });
  const drop = (event) => {
    if (!drag?.moved) return;
    const { board, chip, from, to } = drag;
    for (const one of chips(board)) one.classList.remove("mt-drop-before", "mt-drop-after", "mt-dragged");
    chip.releasePointerCapture?.(event.pointerId);
    if (event.type === "pointerup" && to >= 0 && to !== from) move(board, from, to);
    setTimeout(() => { drag = null; }, 0); // after the click that ends the drag
  };
  document.addEventListener("pointerup", drop);
  document.addEventListener("pointercancel", (event) => { drop(event); drag = null; });

  document.addEventListener("keydown", (event) => {
    const chip = event.target.closest?.(".mt-chip"), pad = event.target.closest?.(".mt-pad");
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (pad && step) {
      event.preventDefault();
      return rove([...pad.closest(".mt-pads").querySelectorAll(".mt-pad")].filter((one) => one.offsetParent), pad, step);
    }
    const inText = event.target.matches?.("textarea, input");
    const board = chip?.closest(".mt-board") ?? (inText
      ? [...document.querySelectorAll(".mt-board")].find((one) => field(one) === event.target)
      : event.target.closest?.(".mt-board"));
    if (!board) return;
    if ((event.ctrlKey || event.metaKey) && !event.altKey && "zy".includes(event.key.toLowerCase())) {
      event.preventDefault();
      const again = event.key.toLowerCase() === "y" || event.shiftKey;
      return act(board, again ? "redo" : "undo");
    }
    if (!chip) return;
    const index = chips(board).indexOf(chip), state = stateOf(board);
    if (step && event.altKey) {
      event.preventDefault();
      state.focus = true;
      move(board, index, index + step);
    } else if (step) {
      event.preventDefault();
      rove(chips(board), chip, step);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      event.preventDefault();
      state.focus = true;
      remove(board, index);
    }
  });
})();
