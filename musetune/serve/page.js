// Every player's lane, waveform and chart follow its audio; a click on a chord goes to its time.
(() => {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const lists = new WeakMap(); // part of the page → its cells by selector, read once: parts are replaced whole

  const cellsOf = (part, selector) => {
    if (!lists.has(part)) lists.set(part, {});
    lists.get(part)[selector] ??= [...part.querySelectorAll(selector)].map((cell) => ({
      cell, start: Number(cell.dataset.start), end: Number(cell.dataset.end),
    }));
    return lists.get(part)[selector];
  };

  const mark = (part, selector, now) => {
    let current = null;
    for (const { cell, start, end } of cellsOf(part, selector)) {
      const here = start <= now && now < end;
      if (here !== cell.classList.contains("mt-now")) cell.classList.toggle("mt-now", here);
      if (here) current = cell;
    }
    return current;
  };

  const sayNow = (player, now) => {
    const row = cellsOf(player.querySelector(".mt-row"), ".mt-cell");
    let index = row.findIndex(({ start, end }) => start <= now && now < end);
    if (index < 0) index = now <= 0 ? 0 : -1;
    if (player.mtIndex === index) return;
    player.mtIndex = index;
    const line = player.querySelector(".mt-now-line");
    const name = (one) => one?.cell.querySelector("b").textContent ?? "";
    const under = row[index]?.cell.querySelector("small").textContent ?? "";
    line.querySelector("b").textContent = name(row[index]) || "–";
    const next = name(row[index + 1]);
    line.querySelector("span").textContent = [under, next && `next ${next}`].filter(Boolean).join(" · ");
  };

  const renew = (player) => { // an update may fill the elements of one take with another
    if (player.querySelector(".mt-now-line b")?.textContent !== "") return;
    player.mtDrawn = false;
    player.mtTime = player.mtIndex = undefined;
    for (const part of player.parentElement.querySelectorAll(".mt-row, .mt-chart")) lists.delete(part);
  };

  const follow = (player) => {
    const audio = player.querySelector("audio");
    const now = audio ? audio.currentTime : 0;
    if (player.mtTime === now) return;
    player.mtTime = now;
    const seconds = Number(player.dataset.seconds) || 1;
    player.style.setProperty("--t", now.toFixed(3));
    player.style.setProperty("--share", Math.min(1, now / seconds).toFixed(4));
    for (const row of player.querySelectorAll(".mt-row")) mark(row, ".mt-cell", now);
    sayNow(player, now);
    const chart = player.parentElement.querySelector(".mt-chart");
    if (!chart) return;
    mark(chart, ".mt-chord", now);
    const bar = mark(chart, ".mt-measure", now);
    if (bar && audio && !audio.paused) keepInView(chart, bar);
  };

  const keepInView = (chart, bar) => {
    const top = bar.offsetTop - chart.offsetTop;
    if (top < chart.scrollTop || top + bar.offsetHeight > chart.scrollTop + chart.clientHeight)
      chart.scrollTo({ top: top - bar.offsetHeight, behavior: still.matches ? "auto" : "smooth" });
  };

  // -- the waveform: the loudest of each thousandth, drawn once

  const draw = async (player) => {
    player.mtDrawn = true;
    const path = player.querySelector(".mt-wave path");
    const audio = player.querySelector("audio");
    if (!path || !audio) return;
    const bytes = await (await fetch(audio.src)).arrayBuffer();
    const sound = await new OfflineAudioContext(1, 1, 8000).decodeAudioData(bytes);
    const wave = sound.getChannelData(0);
    const step = wave.length / 500;
    let top = "", bottom = "", most = 1e-6;
    const peaks = [];
    for (let i = 0; i < 500; i++) {
      let peak = 0;
      for (let j = Math.floor(i * step); j < (i + 1) * step; j++) peak = Math.max(peak, Math.abs(wave[j] || 0));
      peaks.push(peak);
      most = Math.max(most, peak);
    }
    peaks.forEach((peak, i) => {
      const high = Math.max(0.02, peak / most).toFixed(3);
      top += `L${2 * i} -${high}`;
      bottom = `L${2 * i} ${high}` + bottom;
    });
    path.setAttribute("d", `M0 0${top}${bottom}Z`);
  };

  // -- comparing: one plays on where the other was

  const choose = (button) => {
    const compare = button.closest(".mt-compare");
    const [from, to] = ["[data-side='A']", "[data-side='B']"].map((side) => compare.querySelector(`div${side}`));
    const [old, now] = button.dataset.side === "A" ? [to, from] : [from, to];
    const [was, is] = [old.querySelector("audio"), now.querySelector("audio")];
    const playing = !was.paused;
    was.pause();
    old.hidden = true;
    now.hidden = false;
    is.currentTime = Math.min(was.currentTime, is.duration || was.currentTime);
    if (playing) is.play();
    for (const side of compare.querySelectorAll(".mt-side")) side.setAttribute("aria-pressed", String(side === button));
  };

  const goTo = (event) => {
    const cell = event.target.closest?.(".mt-cell, .mt-chord");
    const wave = event.target.closest?.(".mt-wave");
    const audio = (cell || wave)?.closest(".mt-take, .mt-player").querySelector("audio");
    if (!audio) return;
    if (cell) audio.currentTime = Number(cell.dataset.start);
    else {
      const box = wave.getBoundingClientRect();
      audio.currentTime = ((event.clientX - box.left) / box.width) * (audio.duration || 0);
    }
  };

  // -- the page

  const onePlays = (event) => {
    for (const audio of document.querySelectorAll("audio")) if (audio !== event.target) audio.pause();
  };

  let shown = ""; // what stood in #take when we last looked
  const scrollToNewTake = () => {
    const source = [...document.querySelectorAll("#take audio")].map((audio) => audio.src).join(" ");
    if (source === shown) return;
    shown = source;
    if (!source) return;
    const place = document.querySelector("#take");
    const { top } = place.getBoundingClientRect();
    if (top < 0 || top > innerHeight / 2)
      place.scrollIntoView({ behavior: still.matches ? "auto" : "smooth", block: "start" });
  };


  const frame = () => {
    for (const player of document.querySelectorAll(".mt-player")) {
      renew(player);
      follow(player);
      if (!player.mtDrawn && player.offsetParent) draw(player).catch(() => player.querySelector(".mt-wave").remove());
    }
    scrollToNewTake();
    requestAnimationFrame(frame);
  };

  document.addEventListener("click", (event) => {
    const side = event.target.closest?.(".mt-side");
    if (side) choose(side);
    else goTo(event);
  });
  document.addEventListener("play", onePlays, true);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    const button = document.querySelector("#generate");
    if (!button?.offsetParent || button.disabled) return;
    event.preventDefault();
    button.click();
  });
  frame();
})();
