// Every player's lane follows its audio; a click on a chord goes to its time.
(() => {
  const follow = (player) => {
    const audio = player.querySelector("audio");
    if (!audio) return;
    const now = audio.currentTime;
    player.style.setProperty("--t", now.toFixed(3));
    for (const cell of player.querySelectorAll(".mt-cell"))
      cell.classList.toggle("mt-now", cell.dataset.start <= now && now < cell.dataset.end);
  };
  const frame = () => {
    document.querySelectorAll(".mt-player").forEach(follow);
    requestAnimationFrame(frame);
  };
  document.addEventListener("click", (event) => {
    const cell = event.target.closest?.(".mt-cell");
    const audio = cell?.closest(".mt-player").querySelector("audio");
    if (audio) audio.currentTime = Number(cell.dataset.start);
  });
  frame();
})();
