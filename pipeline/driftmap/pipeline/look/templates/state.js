// What the page shows now, and how rows of windows are matched. `start` (page.js) fills in the data.
let data, names, windows, last, answers;
const view = {
  time: 0, speed: 1, isPlaying: false, mode: "points", since: "previous", isComparing: false,
  colouring: null, hidden: new Set(), focus: null, selected: null, selectedBy: null,
  hover: -1, stray: null, followed: -1, hasNames: true, hasTrails: true, isLassoing: false, lasso: null, lassoPane: null,
  zoom: 1, panX: 0, panY: 0, pair: null,
};

// Rows are sorted by entity in every window, so one entity is found by bisection and two windows match in one walk.
function findRow(map, entity) {
  let low = 0, high = map.entities.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (map.entities[middle] < entity) low = middle + 1; else high = middle;
  }
  return low < map.entities.length && map.entities[low] === entity ? low : -1;
}

// The rows of windows t and t + 1: those that move have a row in both; those that leave or enter, -1 in one.
function matchPair(t) {
  const a = windows[t], b = windows[Math.min(t + 1, last)];
  const from = new Int32Array(a.entities.length + b.entities.length), to = new Int32Array(from.length);
  let i = 0, j = 0, n = 0;
  while (i < a.entities.length || j < b.entities.length) {
    const p = i < a.entities.length ? a.entities[i] : Infinity;
    const q = j < b.entities.length ? b.entities[j] : Infinity;
    from[n] = p <= q ? i : -1;
    to[n++] = q <= p ? j : -1;
    if (p <= q) i++;
    if (q <= p) j++;
  }
  return { t, a, b, from: from.subarray(0, n), to: to.subarray(0, n) };
}

function pairAt(time) {
  const t = Math.min(Math.floor(time + 1e-6), Math.max(0, last - 1));
  if (!view.pair || view.pair.t !== t) view.pair = matchPair(t);
  const part = last === 0 ? 0 : Math.max(0, Math.min(1, time - t));
  return { pair: view.pair, part, ease: part * part * (3 - 2 * part) };
}

const nearest = () => windows[Math.round(view.time)];
// The step that the charts speak of: into the window that comes, or came last.
const stepNow = () => Math.max(1, Math.min(last, Math.ceil(view.time - 1e-6)));

// How far every row of window t came since the window before, over the spread; NaN where it was not there.
function movesInto(t) {
  const map = windows[t];
  if (map.moves) return map.moves;
  map.moves = new Float32Array(map.entities.length).fill(NaN);
  if (t > 0) {
    const before = windows[t - 1];
    for (let row = 0, i = 0; row < map.entities.length; row++) {
      while (i < before.entities.length && before.entities[i] < map.entities[row]) i++;
      if (i >= before.entities.length || before.entities[i] !== map.entities[row]) continue;
      const dx = map.places[2 * row] - before.places[2 * i], dy = map.places[2 * row + 1] - before.places[2 * i + 1];
      map.moves[row] = Math.hypot(dx, dy) / data.spread;
    }
  }
  return map.moves;
}

// Where an entity is now, between two windows; null where it is in neither.
function placeNow(entity) {
  const { pair, part, ease } = pairAt(view.time);
  const i = findRow(pair.a, entity), j = findRow(pair.b, entity);
  if (i < 0 && j < 0) return null;
  const a = i < 0 ? null : [pair.a.places[2 * i], pair.a.places[2 * i + 1]];
  const b = j < 0 ? null : [pair.b.places[2 * j], pair.b.places[2 * j + 1]];
  if (a && b) return { x: a[0] + (b[0] - a[0]) * ease, y: a[1] + (b[1] - a[1]) * ease, alpha: 1 };
  const [x, y] = a || b;
  return { x, y, alpha: a ? 1 - part : part };
}
