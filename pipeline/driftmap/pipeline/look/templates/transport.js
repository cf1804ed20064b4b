// Time: the slider, play and speed.
const LONGEST_STEP = 1100, SHORTEST_STEP = 280, WHOLE_RUN = 24000;

function goTo(time) {
  view.time = Math.max(0, Math.min(last, time));
  markThumbnail(Math.round(view.time));
  redraw();
}

function showTime() {
  const near = nearest(), t = Math.floor(view.time + 1e-6), part = view.time - t;
  const label = part < 0.02 || t >= last ? windows[Math.min(t, last)].label : `${windows[t].label} → ${windows[t + 1].label}`;
  if ($("now").textContent !== label) $("now").textContent = label;
  $("count").textContent = `${count(near.n_rows)} rows${near.status === "provisional" ? " · provisional" : ""}${near.isRead === false ? " · reading …" : ""}${isLive ? sayTile(view.time) : ""}`;
  $("time").value = view.time;
  $("time").setAttribute("aria-valuetext", near.label);
  moveCursors();
  showSince();
  if (showTime.step !== stepNow()) { showTime.step = stepNow(); drawStepCharts(); }
  if (showTime.near !== near) { showTime.near = near; drawFollowed(); drawSelected(); }
}

// A step lasts about a second, less in long runs. Where motion is unwelcome, windows change at once.
function setPlaying(isPlaying) {
  view.isPlaying = isPlaying && last > 0;
  $("play").toggleAttribute("data-playing", view.isPlaying);
  $("play").setAttribute("aria-label", view.isPlaying ? "Pause" : "Play");
  if (!view.isPlaying) { drawAnswers(); drawReasons(); return; }
  if (view.time >= last) goTo(0);
  const run = setPlaying.run = {};
  let before = null, saved = 0;
  requestAnimationFrame(function step(now) {
    if (!view.isPlaying || setPlaying.run !== run) return;
    const step_ms = Math.max(SHORTEST_STEP, Math.min(LONGEST_STEP, WHOLE_RUN / last)) / view.speed;
    const way = before === null || (isLive && isWaiting()) ? 0 : (now - before) / step_ms;
    before = now;
    if (isStill.matches) {
      saved += way;
      if (saved >= 1) { saved = 0; goTo(Math.floor(view.time + 1e-6) + 1); }
    } else goTo(view.time + way);
    if (view.time >= last) setPlaying(false); else requestAnimationFrame(step);
  });
}

function stepBy(n) {
  setPlaying(false);
  goTo(n > 0 ? Math.floor(view.time + 1e-6) + 1 : Math.ceil(view.time - 1e-6) - 1);
}

function startTransport() {
  const slider = $("time");
  slider.max = last;
  slider.step = isStill.matches ? 1 : 0.01;
  $("transport").hidden = last === 0;
  slider.addEventListener("input", () => { setPlaying(false); goTo(Number(slider.value)); });
  slider.addEventListener("change", () => { if (Math.abs(view.time - Math.round(view.time)) < 0.08) goTo(Math.round(view.time)); });
  $("play").addEventListener("click", () => setPlaying(!view.isPlaying));
  $("back").addEventListener("click", () => stepBy(-1));
  $("next").addEventListener("click", () => stepBy(1));
  $("speed").addEventListener("change", () => { view.speed = Number($("speed").value); });
}
