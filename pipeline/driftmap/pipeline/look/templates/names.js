// Names of categories on the large map: of those that are gathered in one spot, and where there is room.
const MIN_GATHERED = 0.25;


// Where a category's name stands: the middle of its densest spot, so never between two of its clusters.
function findAnchors(map) {
  map.anchors ??= new Map();
  if (map.anchors.has(view.column)) return map.anchors.get(view.column);
  const byColour = new Map();
  for (let row = 0; row < map.entities.length; row++) {
    if (map.places[2 * row] === MISSING) continue;
    const number = colourOf(map, row);
    if (number < 0) continue;
    if (!byColour.has(number)) byColour.set(number, []);
    byColour.get(number).push(row);
  }
  const anchors = new Map([...byColour].sort(([a], [b]) => a - b)
    .map(([number, rows]) => [number, findDensest(map, rows)]).filter(([, anchor]) => anchor));
  map.anchors.set(view.column, anchors);
  return anchors;
}

function findDensest(map, rows) {
  const size = Math.max(...own.map((frame) => frame.half)) / 7, counts = new Map();
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
  const col = column();
  if (!view.hasNames || !col || col.kind !== "category") return;
  const { pair, part } = pairAt(view.time);
  const from = findAnchors(pair.a), to = findAnchors(pair.b);
  const { context } = place;
  context.font = `600 ${Math.max(11, Math.min(15, place.side / 44))}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 3.5;
  context.lineJoin = "round";
  context.strokeStyle = themed("--card");
  context.fillStyle = themed("--ink");
  const taken = [];
  for (const number of new Set([...from.keys(), ...to.keys()])) {
    const a = from.get(number) || to.get(number), b = to.get(number) || from.get(number);
    const strength = from.has(number) ? (to.has(number) ? 1 : 1 - part) : part;
    context.globalAlpha = view.focus === null || view.focus === number ? strength : strength * 0.15;
    const x = place.x(a[0] + (b[0] - a[0]) * part), y = place.y(a[1] + (b[1] - a[1]) * part);
    const text = shorten(col.values[number], 24);
    const half = context.measureText(text).width / 2 + 2;
    if (taken.some((other) => Math.abs(other.x - x) < other.half + half && Math.abs(other.y - y) < 15)) continue;
    taken.push({ x, y, half });
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }
  context.globalAlpha = 1;
}

const shorten = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
