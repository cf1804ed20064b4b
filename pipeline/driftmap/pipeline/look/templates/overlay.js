// What lies over the points: trails, the way of one entity, its neighbours, the lasso; and the still map without WebGL.
const MOST_TRAILS = 60, TRAIL_SHARE = 0.08, TRAIL_STEPS = 3, EDGE = 8;

function fit(canvas, time, isLarge) {
  const scale = Math.min(devicePixelRatio || 1, 2);
  const w = Math.max(1, canvas.clientWidth), h = Math.max(1, canvas.clientHeight);
  if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) {
    canvas.width = Math.round(w * scale);
    canvas.height = Math.round(h * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, w, h);
  return { context, scale, ...project(w, h, time, isLarge) };
}

function drawLarge() {
  const place = fit($("map"), view.time, true);
  if (program) drawPoints(place, place.scale);
  if (view.mode !== "points") drawDensity(place);
  else if (!program) drawStill(place, nearest(), radius(place.side, nearest().entities.length));
  if (view.mode === "points" && view.hasTrails && last > 0) drawTrails(place);
  if (view.mode === "points") drawOutside(place);
  drawNames(place);
  if (view.hover >= 0 && view.mode === "points") drawNeighbours(place, view.hover);
  if (view.followed >= 0) { drawNeighbours(place, view.followed); drawPath(place, view.followed); }
  if (view.hover >= 0 && view.hover !== view.followed) drawPath(place, view.hover);
  if (view.lasso && view.lassoPane !== PANES.since) drawLasso(place);
  drawSince();
  showTime();
  if (isLive) { askForWindows(); askForTiles(); }
  noteAddress();
  sendToHost();
}

// Arrows at the edge towards rows that lie outside, one for all rows in the same direction.
function drawOutside(place) {
  const map = nearest(), colours = coloursOf(map.t), { context, w, h } = place, seen = new Set();
  for (let row = 0; row < map.entities.length; row++) {
    const x = place.x(map.places[2 * row]), y = place.y(map.places[2 * row + 1]);
    if ((x >= 0 && x <= w && y >= 0 && y <= h) || colours[row] === HIDDEN) continue;
    const atX = Math.max(EDGE, Math.min(w - EDGE, x)), atY = Math.max(EDGE, Math.min(h - EDGE, y));
    const key = `${Math.round(atX / EDGE)}/${Math.round(atY / EDGE)}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const turn = Math.atan2(y - atY, x - atX);
    context.save();
    context.translate(atX, atY);
    context.rotate(turn);
    context.globalAlpha = isDimming() && !isLitEntity(map, row) ? 0.15 : 0.9;
    context.fillStyle = paint(colours[row]);
    context.beginPath();
    context.moveTo(5, 0);
    context.lineTo(-4, -4.5);
    context.lineTo(-4, 4.5);
    context.fill();
    context.restore();
  }
  context.globalAlpha = 1;
}

// The rows that move farthest in the step at hand, with their last few places.
function findFastest(t) {
  const map = windows[t];
  if (map.fastest) return map.fastest;
  const moves = movesInto(t), sorted = moves.filter((move) => move > 0).sort();
  const most = Math.ceil(Math.min(MOST_TRAILS, TRAIL_SHARE * sorted.length));
  const least = sorted[sorted.length - most], rows = [];
  for (let row = 0; row < moves.length && rows.length < most; row++) if (moves[row] >= least) rows.push(row);
  map.fastest = rows;
  return rows;
}

function drawTrails(place) {
  const t = stepNow(), map = windows[t], colours = coloursOf(t), { context } = place;
  context.lineCap = context.lineJoin = "round";
  for (const row of findFastest(t)) {
    const entity = map.entities[row], now = placeNow(entity);
    if (colours[row] === HIDDEN || !now || (isDimming() && !isLitEntity(map, row))) continue;
    const places = [];
    for (let s = Math.max(0, t - TRAIL_STEPS); s < t; s++) {
      const at = findRow(windows[s], entity);
      if (at >= 0) places.push([windows[s].places[2 * at], windows[s].places[2 * at + 1]]);
    }
    places.push([now.x, now.y]);
    context.strokeStyle = paint(colours[row]);
    for (let k = 1; k < places.length; k++) {
      context.globalAlpha = 0.1 + 0.5 * (k / (places.length - 1)) ** 2;
      context.lineWidth = 0.6 + 1.1 * k / (places.length - 1);
      context.beginPath();
      context.moveTo(place.x(places[k - 1][0]), place.y(places[k - 1][1]));
      context.lineTo(place.x(places[k][0]), place.y(places[k][1]));
      context.stroke();
    }
  }
  context.globalAlpha = 1;
}

function isLitEntity(map, row) {
  if (view.selected && !view.selected[map.entities[row]]) return false;
  return view.focus === null || codeOf(map, row) === view.focus;
}

function drawPath(place, entity) {
  const steps = [], { context } = place;
  windows.forEach((map, t) => {
    const row = findRow(map, entity);
    if (row >= 0) steps.push([place.x(map.places[2 * row]), place.y(map.places[2 * row + 1]), t]);
  });
  context.strokeStyle = context.fillStyle = themed("--ink");
  context.lineJoin = "round";
  for (let k = 1; k < steps.length; k++) {
    const isGap = steps[k][2] - steps[k - 1][2] > 1;
    context.globalAlpha = steps[k][2] <= view.time + 1 ? 0.75 : 0.3;
    context.lineWidth = 1.4;
    context.setLineDash(isGap ? [3, 4] : []);
    context.beginPath();
    context.moveTo(steps[k - 1][0], steps[k - 1][1]);
    context.lineTo(steps[k][0], steps[k][1]);
    context.stroke();
  }
  context.setLineDash([]);
  for (const [x, y, t] of steps) {
    context.globalAlpha = t <= view.time ? 0.9 : 0.4;
    context.beginPath();
    context.arc(x, y, 2.2, 0, 7);
    context.fill();
  }
  const now = placeNow(entity);
  if (now && now.alpha > 0.05) ring(place, now, 7, now.alpha, 2);
  context.globalAlpha = 1;
}

function ring(place, { x, y }, r, alpha, width) {
  place.context.globalAlpha = alpha;
  place.context.lineWidth = width;
  place.context.beginPath();
  place.context.arc(place.x(x), place.y(y), r, 0, 7);
  place.context.stroke();
}

function drawNeighbours(place, entity) {
  const { kept, gained, lost } = findNeighbours(entity), centre = placeNow(entity), { context } = place;
  if (!centre) return;
  for (const [entities, colour, dash] of [[lost, "--less", [4, 3]], [kept, "--ink", []], [gained, "--more", []]]) {
    context.strokeStyle = themed(colour);
    for (const other of entities) {
      const at = placeNow(other);
      if (!at) continue;
      context.setLineDash(dash);
      context.globalAlpha = 0.7 * at.alpha;
      context.lineWidth = 1.2;
      context.beginPath();
      context.moveTo(place.x(centre.x), place.y(centre.y));
      context.lineTo(place.x(at.x), place.y(at.y));
      context.stroke();
      ring(place, at, 4.5, at.alpha, 1.4);
    }
  }
  context.setLineDash([]);
  context.globalAlpha = 1;
}

function drawLasso({ context }) {
  context.beginPath();
  view.lasso.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.closePath();
  context.strokeStyle = context.fillStyle = themed("--accent");
  context.lineWidth = 1.5;
  context.stroke();
  context.globalAlpha = 0.12;
  context.fill();
  context.globalAlpha = 1;
}

let isPending = false;
function redraw(withSmall = false) {
  if (withSmall) { if (points) points.isStale = true; inSight.forEach(drawSmall); }
  if (isPending) return;
  isPending = true;
  requestAnimationFrame(() => { isPending = false; drawLarge(); });
}

// What is lit changed, or colours did.
function relight() {
  if (points) points.isStale = true;
  redraw();
}
