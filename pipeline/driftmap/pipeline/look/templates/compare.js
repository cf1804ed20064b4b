// Two windows: A, chosen, and B, the one of the slider. They share zoom, hover and lasso.
const PANES = {
  now: { id: "map", time: () => view.time, each: (visit) => eachPoint(visit) },
  since: { id: "since-map", time: () => sinceWindow(), each: (visit) => eachSince(visit) },
};

// Where there is little room, window A lies over B, from the left up to the swipe (report.css has the same width).
const narrow = matchMedia("(max-width: 900px)");
const isSwiped = () => view.isComparing && narrow.matches;
const swipePart = () => $("swipe").value / 100;

const sinceWindow = () => (view.since === "previous" ? Math.max(0, Math.ceil(view.time - 1e-6) - 1) : Math.min(Number(view.since), last));
// The older of both windows first; two different ones.
function pairNow() {
  const a = sinceWindow(), b = Math.round(view.time);
  return a === b ? [Math.max(0, a - 1), Math.max(a, Math.min(1, last))] : [Math.min(a, b), Math.max(a, b)];
}

function eachSince(visit) {
  const map = windows[sinceWindow()], colours = coloursOf(map.t), dim = isDimming();
  for (let row = 0; row < colours.length; row++) {
    if (colours[row] !== HIDDEN) visit(map.places[2 * row], map.places[2 * row + 1], map, row, !dim || isLitEntity(map, row));
  }
}

function drawSince() {
  if (!view.isComparing) return;
  const map = windows[sinceWindow()], place = fit($("since-map"), map.t, true);
  const { map: shown, colours } = isLive ? joinTile(map) : { map, colours: coloursOf(map.t) };
  if (view.mode === "points") drawStill(place, shown, radius(place.side, map.entities.length) * Math.min(2.5, view.zoom ** 0.35), colours);
  else drawDensity(place, map.t);
  drawNamesAt({ ...place, right: isSwiped() ? swipePart() * place.w : place.w }, map, map, 0, 0, boxesOf($("since-now").parentElement, $("since-count")));
  place.context.strokeStyle = themed("--ink");
  for (const entity of new Set([view.followed, view.hover])) {
    const row = entity < 0 ? -1 : findRow(map, entity);
    if (row >= 0) ring(place, { x: map.places[2 * row], y: map.places[2 * row + 1] }, 7, 1, 2);
  }
  place.context.globalAlpha = 1;
  if (view.lasso && view.lassoPane === PANES.since) drawLasso(place);
}

function chooseSince(since) {
  view.since = since;
  $("since").value = since;
  redraw();
}

function setComparing(isComparing) {
  view.isComparing = isComparing && last > 0;
  $("compare").setAttribute("aria-pressed", String(view.isComparing));
  document.documentElement.toggleAttribute("data-comparing", view.isComparing);
  redraw();
}

function showSince() {
  const map = windows[sinceWindow()], slider = $("since-time");
  slider.value = map.t;
  slider.setAttribute("aria-valuetext", map.label);
  if ($("since-now").textContent !== map.label) $("since-now").textContent = map.label;
  $("since-count").textContent = `${count(map.n_rows)} rows${isLive ? sayTile(map.t) : ""}`;
  for (const cursor of document.querySelectorAll(".since-cursor")) { cursor.setAttribute("x1", stripX(map.t)); cursor.setAttribute("x2", stripX(map.t)); }
  drawAnswers();
  drawReasons();
}

function listSince() {
  windows.forEach((map, t) => $("since").append(make("option", { value: String(t), text: shorten(map.label, 40) })));
}

function startCompare() {
  listSince();
  $("since").addEventListener("change", () => chooseSince($("since").value));
  $("since-time").max = last;
  $("since-time").addEventListener("input", () => chooseSince($("since-time").value));
  $("compare").addEventListener("click", () => setComparing(!view.isComparing));
  const swipe = () => { $("panes").style.setProperty("--swipe", `${$("swipe").value}%`); redraw(); };
  $("swipe").addEventListener("input", swipe);
  swipe();
  setComparing(true);
}
