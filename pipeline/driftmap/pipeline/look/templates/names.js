// Names of categories on the large map: of those that are gathered in one spot, and where there is room.
const MIN_GATHERED = 0.25;
const ROWS_ASKED = 12000;

// Where a category's name stands: the middle of its densest spot, so never between two of its clusters.
function findAnchors(map) {
  const colours = coloursOf(map.t);
  if (map.anchorKey === map.colourKey) return map.anchors;
  const byCode = new Map(), stride = Math.ceil(colours.length / ROWS_ASKED) || 1;
  for (let row = 0; row < colours.length; row += stride) {
    if (colours[row] < 0) continue;
    const code = codeOf(map, row);
    if (!byCode.has(code)) byCode.set(code, []);
    byCode.get(code).push(row);
  }
  map.anchors = new Map([...byCode].sort(([a], [b]) => a - b)
    .map(([code, rows]) => [code, findDensest(map, rows)]).filter(([, anchor]) => anchor));
  map.anchorKey = map.colourKey;
  return map.anchors;
}

function findDensest(map, rows) {
  const size = (view.isCentred ? followed : whole.half) / 7, counts = new Map();
  const cellOf = (row, axis) => Math.floor(map.places[2 * row + axis] / size);
  const key = (i, j) => i * 100003 + j;
  for (const row of rows) {
    const k = key(cellOf(row, 0), cellOf(row, 1));
    counts.set(k, (counts.get(k) || 0) + 1);
  }
  let best = null, most = -1;
  for (const row of rows) {
    const i = cellOf(row, 0), j = cellOf(row, 1);
    let n = 0;
    for (let p = -1; p <= 1; p++) for (let q = -1; q <= 1; q++) n += counts.get(key(i + p, j + q)) || 0;
    if (n > most) { most = n; best = [i, j]; }
  }
  const near = rows.filter((row) => Math.abs(cellOf(row, 0) - best[0]) <= 1 && Math.abs(cellOf(row, 1) - best[1]) <= 1);
  const mean = (axis) => near.reduce((sum, row) => sum + map.places[2 * row + axis], 0) / near.length;
  return near.length < MIN_GATHERED * rows.length ? null : [mean(0), mean(1)];
}

function drawNames(place) {
  const { pair, part, ease } = pairAt(view.time);
  drawNamesAt(place, findAnchors(pair.a), findAnchors(pair.b), part, ease);
}

function drawNamesAt(place, from, to, part, ease) {
  if (!view.hasNames || view.colouring.kind !== "category") return;
  const { context } = place;
  context.font = `600 ${Math.max(11, Math.min(15, place.side / 44))}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 3.5;
  context.lineJoin = "round";
  context.strokeStyle = themed("--card");
  context.fillStyle = themed("--ink");
  const taken = [];
  for (const code of new Set([...from.keys(), ...to.keys()])) {
    const a = from.get(code) || to.get(code), b = to.get(code) || from.get(code);
    const strength = from.has(code) ? (to.has(code) ? 1 : 1 - part) : part;
    context.globalAlpha = view.focus === null || view.focus === code ? strength : strength * 0.15;
    let x = place.x(a[0] + (b[0] - a[0]) * ease);
    const y = place.y(a[1] + (b[1] - a[1]) * ease);
    const text = shorten(view.colouring.values[code], 24);
    const half = context.measureText(text).width / 2 + 2;
    // inside the edge, as long as the spot itself is
    if (x >= 0 && x <= place.w) x = Math.max(half, Math.min(place.w - half, x));
    if (taken.some((other) => Math.abs(other.x - x) < other.half + half && Math.abs(other.y - y) < 15)) continue;
    taken.push({ x, y, half });
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }
  context.globalAlpha = 1;
}
