// Names of labels on the large map: of those that are gathered in one spot. Where names would lie on each other, that of
// the label with fewer rows stands beside its spot, at the end of a line, or is left out where there is no room.
const MIN_GATHERED = 0.25, ROWS_ASKED = 12000, MOST_NAMES = 40, PIXELS_A_NAME = 16;
const NAME_HEIGHT = 16, NAME_EDGE = 3, LEAST_LEADER = 11, SLOT_RADII = [17, 30, 46, 64], SLOT_ANGLES = 12;

// Where a label's name belongs: the middle of its densest spot, so never between two of its clusters. Most rows first.
function findAnchors(map) {
  const colours = coloursOf(map.t);
  if (map.anchorKey === map.colourKey) return map.anchors;
  const byCode = new Map(), stride = Math.ceil(colours.length / ROWS_ASKED) || 1;
  for (let row = 0; row < colours.length; row += stride) {
    if (colours[row] === HIDDEN) continue;
    const code = codeOf(map, row);
    if (!byCode.has(code)) byCode.set(code, []);
    byCode.get(code).push(row);
  }
  map.anchors = new Map([...byCode].sort(([a, p], [b, q]) => q.length - p.length || a - b).slice(0, MOST_NAMES)
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

const nameOf = (code) => shorten(view.colouring.values[code], 24);

// Offset of each name from its spot, in pixels, so that none lies on another, on the headings, or over the edge.
function layNames(place, map, headings) {
  const taken = [...headings], offsets = new Map();
  for (const [code, [placeX, placeY]] of findAnchors(map)) {
    const x = place.x(placeX), y = place.y(placeY);
    if (offsets.size >= place.side / PIXELS_A_NAME) break;
    if (x < leftOf(place) || x > rightOf(place) || y < 0 || y > place.h) continue;
    const box = findSlot(place, x, y, place.context.measureText(nameOf(code)).width / 2 + 5, taken);
    if (!box) continue;
    taken.push(box);
    offsets.set(code, [box.x - x, box.y - y]);
  }
  return offsets;
}

// What is seen of a map: all, or its part beside the swipe.
const leftOf = (place) => place.left || 0;
const rightOf = (place) => place.right ?? place.w;

function findSlot(place, x, y, half, taken) {
  const tall = NAME_HEIGHT / 2, slots = [[0, 0]], left = leftOf(place) + half + NAME_EDGE, right = rightOf(place) - half - NAME_EDGE;
  if (left > right) return null;
  for (const r of SLOT_RADII) for (let k = 0; k < SLOT_ANGLES; k++) {
    const angle = 2 * Math.PI * k / SLOT_ANGLES;
    // the end of a name, not its middle, lies on the circle
    slots.push([(r + half) * Math.cos(angle), r * Math.sin(angle)]);
  }
  for (const [dx, dy] of slots) {
    const box = {
      x: Math.max(left, Math.min(right, x + dx)), half,
      y: Math.max(tall + NAME_EDGE, Math.min(place.h - tall - NAME_EDGE, y + dy)), tall,
    };
    if (!taken.some((other) => Math.abs(other.x - box.x) < other.half + half && Math.abs(other.y - box.y) < other.tall + tall)) return box;
  }
  return null;
}

// What stands on a map already, as boxes around a middle.
const boxesOf = (...elements) => elements.map(({ offsetLeft, offsetTop, offsetWidth, offsetHeight }) => ({
  x: offsetLeft + offsetWidth / 2, half: offsetWidth / 2, y: offsetTop + offsetHeight / 2, tall: offsetHeight / 2,
}));

function drawNames(place) {
  const { pair, part, ease } = pairAt(view.time);
  drawNamesAt({ ...place, left: isSwiped() ? swipePart() * place.w : 0 }, pair.a, pair.b, part, ease, boxesOf($("now"), $("count")));
}

// Between two windows names glide: both are laid out for themselves.
function drawNamesAt(place, a, b, part, ease, headings) {
  if (!view.hasNames || view.colouring.kind !== "category") return;
  const { context } = place;
  context.font = `600 ${Math.max(11, Math.min(15, place.side / 44))}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  const from = layNames(place, a, headings), to = a === b ? from : layNames(place, b, headings), anchors = [findAnchors(a), findAnchors(b)];
  const mix = (one, other, axis) => one[axis] + (other[axis] - one[axis]) * ease;
  const drawn = [...new Set([...from.keys(), ...to.keys()])].map((code) => {
    const [old, now] = from.has(code) ? [anchors[0].get(code), anchors[to.has(code) ? 1 : 0].get(code)] : [anchors[1].get(code), anchors[1].get(code)];
    const before = from.get(code) || to.get(code), after = to.get(code) || from.get(code), x = place.x(mix(old, now, 0)), y = place.y(mix(old, now, 1));
    const strength = from.has(code) ? (to.has(code) ? 1 : 1 - part) : part;
    const alpha = view.focus === null || view.focus === code ? strength : strength * 0.15;
    return { code, text: nameOf(code), x, y, nameX: x + mix(before, after, 0), nameY: y + mix(before, after, 1), alpha };
  });
  drawn.forEach((name) => drawLeader(context, name));
  for (const { code, text, nameX, nameY, alpha } of drawn) {
    context.globalAlpha = alpha;
    context.lineWidth = 3.5;
    context.strokeStyle = themed("--card");
    context.fillStyle = themed(paletteOf(code) < 0 ? "--soft" : "--ink");
    context.strokeText(text, nameX, nameY);
    context.fillText(text, nameX, nameY);
  }
  context.globalAlpha = 1;
}

// From a spot to the nearest point of its name.
function drawLeader(context, { text, x, y, nameX, nameY, alpha }) {
  const half = context.measureText(text).width / 2, toX = Math.max(nameX - half, Math.min(nameX + half, x)), toY = Math.max(nameY - 6, Math.min(nameY + 6, y));
  if (Math.hypot(toX - x, toY - y) < LEAST_LEADER) return;
  context.globalAlpha = alpha;
  for (const [colour, width] of [["--card", 3.5], ["--ink", 1]]) {
    context.strokeStyle = themed(colour);
    context.lineWidth = width;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(toX, toY);
    context.stroke();
  }
  context.fillStyle = themed("--ink");
  context.beginPath();
  context.arc(x, y, 2, 0, 7);
  context.fill();
}
