// Time, pointer and legend: what a person does with the page.

function goTo(time) {
  view.time = Math.max(0, Math.min(last, time));
  const near = Math.round(view.time);
  for (const cell of $("grid").children) cell.setAttribute("aria-current", String(Number(cell.dataset.window) === near));
  keepInSight($("grid"), $("grid").children[near]);
  redraw(false);
}

// Scrolls the panel only, never the page.
function keepInSight(panel, cell) {
  if (cell.offsetTop < panel.scrollTop) panel.scrollTop = cell.offsetTop;
  const below = cell.offsetTop + cell.offsetHeight - panel.clientHeight;
  if (below > panel.scrollTop) panel.scrollTop = below;
}

function setPlaying(isPlaying) {
  view.isPlaying = isPlaying && last > 0;
  $("play").toggleAttribute("data-playing", view.isPlaying);
  $("play").setAttribute("aria-label", view.isPlaying ? "Pause" : "Play");
  if (!view.isPlaying) return;
  if (view.time >= last) goTo(0);
  let before = null;
  requestAnimationFrame(function step(now) {
    if (!view.isPlaying) return;
    if (before !== null) goTo(view.time + (now - before) / MILLISECONDS_PER_WINDOW);
    before = now;
    if (view.time >= last) setPlaying(false); else requestAnimationFrame(step);
  });
}

function stepBy(n) {
  setPlaying(false);
  goTo(n > 0 ? Math.floor(view.time + 1e-6) + 1 : Math.ceil(view.time - 1e-6) - 1);
}

function pointAt(event) {
  const canvas = $("map"), frame = canvas.getBoundingClientRect();
  const px = event.clientX - frame.left, py = event.clientY - frame.top;
  const place = project(frame.width, frame.height, view.time);
  let best = null, nearest = 14 * 14;
  eachPoint((x, y, here, row, alpha) => {
    if (alpha < 0.5 || (view.focus !== null && colourOf(here, row) !== view.focus)) return;
    const dx = place.x(x) - px, dy = place.y(y) - py;
    if (dx * dx + dy * dy < nearest) { nearest = dx * dx + dy * dy; best = { here, row, px, py }; }
  });
  return best;
}

function showTip(event) {
  const found = pointAt(event), tip = $("tip");
  const entity = found ? found.here.entities[found.row] : -1;
  if (entity !== view.hover) { view.hover = entity; redraw(false); }
  tip.hidden = !found;
  if (!found) return;
  const head = document.createElement("b");
  head.textContent = data.entities[entity];
  const lines = data.columns.map((col, c) => {
    const line = document.createElement("div");
    line.textContent = `${col.name}: ${textOf(found.here, found.row, c)}`;
    return line;
  });
  tip.replaceChildren(head, ...lines);
  const frame = $("map").getBoundingClientRect();
  const isRight = found.px > frame.width * 0.6, isLow = found.py > frame.height * 0.75;
  tip.style.left = isRight ? "auto" : `${found.px + 14}px`;
  tip.style.right = isRight ? `${frame.width - found.px + 14}px` : "auto";
  tip.style.top = isLow ? "auto" : `${found.py + 12}px`;
  tip.style.bottom = isLow ? `${frame.height - found.py + 12}px` : "auto";
}

function hideTip() {
  $("tip").hidden = true;
  if (view.hover >= 0) { view.hover = -1; redraw(false); }
}

function focusOn(number) {
  const focus = number === null ? view.pinned : number;
  if (focus === view.focus) return;
  view.focus = focus;
  inSight.forEach(drawSmall);
  redraw(false);
}

function makeChip(number, text) {
  const chip = document.createElement("button");
  chip.type = "button";
  chip.className = "chip";
  chip.setAttribute("aria-pressed", "false");
  const dot = document.createElement("span"), name = document.createElement("span");
  dot.className = "dot";
  dot.style.background = number < 0 ? "var(--other)" : paint(number);
  name.textContent = text;
  chip.append(dot, name);
  chip.addEventListener("pointerenter", () => focusOn(number));
  chip.addEventListener("pointerleave", () => focusOn(null));
  chip.addEventListener("click", () => {
    view.pinned = view.pinned === number ? null : number;
    for (const other of $("legend").children) other.setAttribute("aria-pressed", String(other === chip && view.pinned !== null));
    focusOn(view.pinned);
  });
  return chip;
}

function makeRamp(col) {
  const ramp = document.createElement("div"), low = document.createElement("span"), high = document.createElement("span");
  const canvas = document.createElement("canvas");
  ramp.className = "ramp";
  low.textContent = String(Number(col.min.toPrecision(4)));
  high.textContent = String(Number(col.max.toPrecision(4)));
  canvas.width = RAMP_STEPS;
  canvas.height = 1;
  for (let k = 0; k < RAMP_STEPS; k++) {
    canvas.getContext("2d").fillStyle = paint(k);
    canvas.getContext("2d").fillRect(k, 0, 1, 1);
  }
  ramp.append(low, canvas, high);
  return ramp;
}

function drawLegend() {
  const col = column();
  $("legend-card").hidden = !col;
  if (!col) return;
  view.focus = view.pinned = null;
  $("names-box").hidden = col.kind === "number";
  if (col.kind === "number") { $("legend").replaceChildren(makeRamp(col)); return; }
  const shown = nColours(col);
  const chips = col.values.slice(0, shown).map((text, number) => makeChip(number, text));
  if (shown < col.values.length) chips.push(makeChip(-1, `${col.values.length - shown} others`));
  $("legend").replaceChildren(...chips);
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  redraw(true);
}

function makeGrid() {
  windows.forEach((map, t) => {
    const cell = document.createElement("button"), name = document.createElement("span");
    cell.type = "button";
    cell.className = "cell";
    cell.dataset.window = t;
    cell.title = `${map.label} · ${map.nRows.toLocaleString("en")} rows · ${map.status}`;
    name.textContent = map.label;
    cell.append(document.createElement("canvas"), name);
    cell.addEventListener("click", () => { setPlaying(false); goTo(t); });
    $("grid").append(cell);
    watcher.observe(cell);
  });
}

// As large as the small maps can be with all of them in sight; where they do not fit, the panel scrolls.
function sizeGrid() {
  const grid = $("grid"), gap = 8, caption = 24;
  const padding = 4, w = grid.clientWidth - padding, h = grid.clientHeight - padding;
  let size = 190;
  while (size > 92) {
    const columns = Math.max(1, Math.floor((w + gap) / (size + gap))), rows = Math.ceil(windows.length / columns);
    const side = (w + gap) / columns - gap;
    if (rows * (side + caption + gap) <= h + gap) break;
    size -= 4;
  }
  grid.style.setProperty("--cell", `${size}px`);
}

function makeSelect() {
  data.columns.forEach((col, c) => {
    const option = document.createElement("option");
    option.value = c;
    option.textContent = col.name;
    $("by").append(option);
  });
  $("by").disabled = data.columns.length < 2;
  $("by").addEventListener("change", () => { view.column = Number($("by").value); drawLegend(); redraw(true); });
}

function listen() {
  $("time").max = last;
  $("time").disabled = last === 0;
  $("time").addEventListener("input", () => { setPlaying(false); goTo(Number($("time").value)); });
  $("time").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (step) { event.preventDefault(); stepBy(step); }
  });
  $("names").addEventListener("change", () => { view.hasNames = $("names").checked; redraw(false); });
  $("follow-box").hidden = !isWandering;
  $("follow").addEventListener("change", () => { view.isFollowing = $("follow").checked; redraw(true); });
  $("play").addEventListener("click", () => setPlaying(!view.isPlaying));
  $("back").addEventListener("click", () => stepBy(-1));
  $("next").addEventListener("click", () => stepBy(1));
  $("map").addEventListener("pointermove", showTip);
  $("map").addEventListener("pointerdown", showTip);
  $("map").addEventListener("pointerleave", hideTip);
  $("theme").addEventListener("click", () => setTheme(theme() === "dark" ? "light" : "dark"));
  const sizes = new ResizeObserver(() => { sizeGrid(); redraw(true); });
  sizes.observe($("map"));
  sizes.observe($("grid"));
}

for (const cell of document.querySelectorAll("td.figure")) {
  cell.style.setProperty("--part", `${Math.max(0, Math.min(1, Number(cell.dataset.value))) * 100}%`);
}
document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
makeSelect();
drawLegend();
makeGrid();
listen();
goTo(0);
document.documentElement.dataset.ready = windows.length;
