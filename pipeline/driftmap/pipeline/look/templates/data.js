// What the page was given: windows, entities and label columns; and how windows are matched.
const MISSING = -32768;
const MILLISECONDS_PER_WINDOW = 1100;

const $ = (id) => document.getElementById(id);
const data = JSON.parse($("data").textContent);
const windows = data.windows.map(decodeWindow);
const last = windows.length - 1;
const view = { time: 0, column: 0, focus: null, pinned: null, hover: -1, hasNames: true, isPlaying: false, pair: null };
const sprites = new Map();

function bytes(text) {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out.buffer;
}

function decodeWindow(given) {
  const places = new Int16Array(bytes(given.positions));
  const entities = new Int32Array(bytes(given.entities));
  const values = given.columns.map((text, c) =>
    data.columns[c].kind === "number" ? new Float32Array(bytes(text)) : new Int32Array(bytes(text)));
  return { label: given.label, status: given.status, nRows: given.n_rows, places, entities, values };
}

function extent(all) {
  let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
  for (const { places } of all) {
    for (let i = 0; i < places.length; i += 2) {
      if (places[i] === MISSING) continue;
      x0 = Math.min(x0, places[i]); x1 = Math.max(x1, places[i]);
      y0 = Math.min(y0, places[i + 1]); y1 = Math.max(y1, places[i + 1]);
    }
  }
  if (!(x0 <= x1)) return { cx: 0, cy: 0, half: 1 };
  return { cx: (x0 + x1) / 2, cy: (y0 + y1) / 2, half: Math.max(1, x1 - x0, y1 - y0) / 2 };
}

// Rows are sorted by entity in every window, so two windows are matched in one walk, and one entity by bisection.
function findRow(map, entity) {
  let low = 0, high = map.entities.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (map.entities[middle] < entity) low = middle + 1; else high = middle;
  }
  return low < map.entities.length && map.entities[low] === entity && map.places[2 * low] !== MISSING ? low : -1;
}

// The rows of windows t and t + 1 as points that move (row in both), leave (only in the first) or enter.
function matchPair(t) {
  const a = windows[t], b = windows[Math.min(t + 1, last)];
  const rows = [];
  let i = 0, j = 0;
  while (i < a.entities.length || j < b.entities.length) {
    const p = i < a.entities.length ? a.entities[i] : Infinity;
    const q = j < b.entities.length ? b.entities[j] : Infinity;
    const from = p <= q && a.places[2 * i] !== MISSING ? i : -1;
    const to = q <= p && b.places[2 * j] !== MISSING ? j : -1;
    if (from >= 0 || to >= 0) rows.push(from, to);
    if (p <= q) i++;
    if (q <= p) j++;
  }
  return { t, a, b, rows: Int32Array.from(rows) };
}

function pairAt(time) {
  const t = Math.min(Math.floor(time), Math.max(0, last - 1));
  if (!view.pair || view.pair.t !== t) view.pair = matchPair(t);
  const part = last === 0 ? 0 : time - t;
  return { pair: view.pair, part: part * part * (3 - 2 * part) };
}
