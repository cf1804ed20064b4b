// A large store seen closer: the rows in sight that the sample lacks, of window B and of window A beside it. They rest with
// their window; whatever is not said of them here is asked for when one is pointed at.
const TILE_MARGIN = 0.25, TILE_DELAY_MS = 160, COARSER = 1.5, LEAST_TILE_ZOOM = 1.2;
const tiles = new Map(), flawedTiles = new Set();
let tileTimer = null, isTiling = false;
const rowFacts = new Map(), MOST_FACTS = 400;

const tileColumn = () => (view.colouring.kind === "moved" ? (view.colouring.of ? -2 : -1) : view.colouring.c ?? -1);

// The rows to draw besides those of a window; none where they are of its former map, or lack the colour.
function tileOf(t) {
  const tile = isLive && view.zoom >= LEAST_TILE_ZOOM ? tiles.get(t) : null;
  return tile && tile.map === windows[t].map && tile.c === tileColumn() ? tile : null;
}

const tileNow = () => (Number.isInteger(view.time) ? tileOf(view.time) : null);

// After each picture: what is seen is asked for once it has rested, one tile after the other.
function askForTiles() {
  clearTimeout(tileTimer);
  const shown = listTiled();
  for (const t of tiles.keys()) if (!shown.some(([other]) => other === t)) tiles.delete(t);
  if (!isTiling && nextTile()) tileTimer = setTimeout(readTiles, TILE_DELAY_MS);
}

async function readTiles() {
  if (isTiling) return;
  isTiling = true;
  for (let next = nextTile(); next; next = nextTile()) await readTile(next);
  isTiling = false;
}

// Windows and panes that are shown closer.
function listTiled() {
  if (view.mode !== "points" || view.zoom < LEAST_TILE_ZOOM || view.isPlaying) return [];
  return [...(program && Number.isInteger(view.time) ? [[view.time, PANES.now]] : []), ...(view.isComparing ? [[sinceWindow(), PANES.since]] : [])];
}

const nextTile = () => listTiled().map(([t, pane]) => describeTile(t, pane)).find(Boolean);

function describeTile(t, pane) {
  const map = windows[t], place = placeIn(pane), seen = [place.backX(0), place.backX(place.w), place.backY(place.h), place.backY(0)], tile = tileOf(t);
  if (!map.isRead || map.entities.length >= map.n_rows || (tile && isCovered(tile, seen, place.unit))) return null;
  const mx = TILE_MARGIN * (seen[1] - seen[0]), my = TILE_MARGIN * (seen[3] - seen[2]), box = [seen[0] - mx, seen[1] + mx, seen[2] - my, seen[3] + my];
  const c = tileColumn(), key = `${map.map}/${c}/${box.map((edge) => edge.toFixed(1))}`;
  return flawedTiles.has(key) ? null : { t, c, box, key, unit: place.unit, map: map.map };
}

// A tile of which only a share was drawn is too coarse once one is closer.
function isCovered(tile, [x0, x1, y0, y1], unit) {
  const [u0, u1, v0, v1] = tile.box;
  return u0 <= x0 && x1 <= u1 && v0 <= y0 && y1 <= v1 && (tile.isWhole || unit < COARSER * tile.unit);
}

async function readTile(asked) {
  try {
    const [x0, x1, y0, y1] = asked.box, { header, read } = await askStreams(`tile/${windows[asked.t].index}?${new URLSearchParams({ x0, x1, y0, y1, c: asked.c })}`);
    const rows = read(header.rows), x = read(header.x), y = read(header.y), places = new Float32Array(2 * rows.length);
    for (let k = 0; k < rows.length; k++) { places[2 * k] = x[k] / header.fineness; places[2 * k + 1] = y[k] / header.fineness; }
    learnColumns(header.described);
    const n_drawn = rows.length + countInside(windows[asked.t], asked.box);
    tiles.set(asked.t, { ...asked, rows, places, codes: header.codes === null ? null : read(header.codes), n_inside: header.n_inside, n_drawn, isWhole: header.is_whole });
    points = null;
    redraw();
  } catch (error) {
    flawedTiles.add(asked.key);
    showLiveNotices(`What is seen closer cannot be read: ${error.message}`);
  }
}

function countInside({ places }, [x0, x1, y0, y1]) {
  let n = 0;
  for (let i = 0; i < places.length; i += 2) if (places[i] >= x0 && places[i] <= x1 && places[i + 1] >= y0 && places[i + 1] <= y1) n++;
  return n;
}

// The colour of each row of the tile, as `coloursOf` gives those of the sample.
function coloursOfTile(extra) {
  if (extra.colourKey !== colourKey) { extra.colours = paintTile(extra); extra.colourKey = colourKey; }
  return extra.colours;
}

function paintTile({ codes, rows }) {
  const { colouring } = view, out = new Float32Array(rows.length).fill(colouring.kind === "plain" ? 0 : OTHER);
  if (!codes) return out;
  if (colouring.kind === "category") {
    const table = colouring.values.map((_, code) => (isVisible(code) ? paletteOf(code) : HIDDEN));
    for (let k = 0; k < out.length; k++) out[k] = table[codes[k]];
  } else {
    const [low, high] = rangeOf(colouring);
    for (let k = 0; k < out.length; k++) {
      const value = colouring.of ? (codes[k] - 1) / data.turnover_steps : colouring.low + codes[k] * colouring.step;
      if (codes[k] >= (colouring.of ? 1 : 0)) out[k] = (RAMP_STEPS - 1) * Math.max(0, Math.min(1, (value - low) / (high - low || 1)));
    }
  }
  return out;
}

// Behind the rows of a pair of windows, in the same lists.
function addTile(out, n, extra) {
  const colours = coloursOfTile(extra);
  for (let k = 0; k < extra.rows.length; k++) {
    const at = n + k, isLitRow = !view.selected && (view.focus === null || (view.colouring.kind === "category" && extra.codes[k] === view.focus));
    out.places.set([extra.places[2 * k], extra.places[2 * k + 1], extra.places[2 * k], extra.places[2 * k + 1]], 4 * at);
    out.looks.set([colours[k], colours[k], colours[k] === HIDDEN ? 0 : 1, colours[k] === HIDDEN ? 0 : 1], 4 * at);
    out.lit[at] = isLitRow ? 1 : 0;
  }
}

// A window's rows and those of its tile as one, for a pane without a graphics card.
function joinTile(map) {
  const extra = tileOf(map.t);
  if (!extra) return { map, colours: coloursOf(map.t) };
  const put = (type, one, other) => { const out = new type(one.length + other.length); out.set(one); out.set(other, one.length); return out; };
  const none = new Int32Array(extra.rows.length).fill(-1);
  const values = map.values.map((own, c) => put(Int32Array, own, c === extra.c && extra.codes ? extra.codes : none));
  const joined = { ...map, values, entities: put(Int32Array, map.entities, none), places: put(Float32Array, map.places, extra.places) };
  return { map: joined, colours: put(Float32Array, coloursOf(map.t), coloursOfTile(extra)) };
}

// How much of what is seen is drawn.
function sayTile(t) {
  const extra = tileOf(t);
  if (!extra) return "";
  return extra.isWhole ? " · here all" : ` · here ${count(extra.n_drawn)} of ${count(extra.n_inside)}`;
}

// The nearest row of a window's tile, if it is nearer than `least`.
function pointInTile(px, py, place, t, least) {
  const extra = tileOf(t);
  if (!extra) return null;
  const colours = coloursOfTile(extra);
  let best = null;
  for (let k = 0; k < extra.rows.length; k++) {
    const dx = place.x(extra.places[2 * k]) - px, dy = place.y(extra.places[2 * k + 1]) - py, squared = dx * dx + dy * dy;
    if (squared < least && colours[k] !== HIDDEN) { least = squared; best = { t, row: extra.rows[k], px, py }; }
  }
  return best;
}

// What the store says of a row; asked for once.
function askRow(index, row) {
  const key = `${index}/${row}`;
  if (!rowFacts.has(key)) {
    if (rowFacts.size >= MOST_FACTS) rowFacts.clear();
    rowFacts.set(key, ask(`row/${index}/${row}`).then((answer) => answer.json()));
  }
  return rowFacts.get(key);
}

// Filled once the server has answered.
function showRow(index, row, { isPlain = false, hasLabels = true } = {}) {
  const box = make("div", { className: "row-facts", textContent: "…" });
  askRow(index, row).then(({ name, labels, details }) => {
    const lines = hasLabels ? [make("b", { text: name }), ...labels.map(([column, text]) => make("div", { text: shorten(`${column}: ${nameIn(text)}`, 160) }))] : [];
    box.replaceChildren(...details.filter(([, text]) => text.trim()).map(([column, text, picture]) => makeDetail(column, text, { isPlain, most: isPlain ? 200 : 300, pictures: makePictureHere(picture) })), ...lines);
  }, (error) => { box.textContent = error.message; });
  return box;
}

// An id that the sample lacks joins it: its row in each window that was read; and in others once they are.
const joined = [];

async function join(index, row) {
  if (joined.some((one) => one.index === index && one.row === row)) { const known = windows.find((map) => map.index === index); if (known.rows.includes(row)) { follow(known.entities[known.rows.indexOf(row)]); return; } }
  const known = { index, row }, order = [...windows].sort((a, b) => Math.abs(a.t - nearest().t) - Math.abs(b.t - nearest().t));
  joined.push(known);
  let entity = -1;
  for (const map of order) {
    if (!map.isRead) continue;
    const found = await joinWindow(map, known);
    if (found >= 0 && entity < 0) { entity = found; follow(entity); }
  }
  if (entity >= 0 && view.followed === entity) follow(entity);
}

async function joinWindow(map, { index, row }) {
  try {
    const found = await (await ask(`follow/${map.index}/${index}/${row}`)).json();
    if (found.row === null) return -1;
    if (findRow(map, found.entity) < 0) insertRow(map, found);
    return found.entity;
  } catch (error) {
    showLiveNotices(`An id cannot be followed into ${shorten(map.label, 60)}: ${error.message}`);
    return -1;
  }
}

function insertRow(map, { row, entity, name, place, codes, turnover, described }) {
  let at = 0;
  while (at < map.entities.length && map.entities[at] < entity) at++;
  const put = (values, own) => { const out = new values.constructor(values.length + own.length), start = at * own.length; out.set(values.subarray(0, start)); out.set(own, start); out.set(values.subarray(start), start + own.length); return out; };
  learnColumns(described);
  map.entities = put(map.entities, [entity]);
  map.rows = put(map.rows, [row]);
  map.places = put(map.places, place);
  map.values = map.values.map((values, c) => put(values, [codes[c]]));
  if (map.traits) spreadTraits(map, data.reasons.coding[3]);
  if (map.turnover) map.turnover = put(map.turnover, [turnover ? (turnover - 1) / data.turnover_steps : NaN]);
  learnName(entity, name);
  for (const other of [map, windows[map.t + 1]]) if (other) forgetDrawn(other);
  view.pair = points = lowered = null;
  neighbours.clear();
}

function findServed(text, found) {
  const known = new Set(found.map((entity) => names[entity]));
  return seekIds(text).filter(([name]) => !known.has(name)).map(([name, index, row]) => ({ text: name, kind: "id", choose: () => join(index, row) }));
}

// Ids of the store that begin with what is sought, besides those of the sample.
let sought = { text: "", found: [] }, seekTimer = null;

function seekIds(text) {
  const wanted = text.trim();
  if (sought.text === wanted) return sought.found;
  clearTimeout(seekTimer);
  if (wanted) seekTimer = setTimeout(async () => {
    try {
      const { found } = await (await ask(`find/${nearest().index}?${new URLSearchParams({ text: wanted })}`)).json();
      sought = { text: wanted, found };
    } catch {
      sought = { text: wanted, found: [] };
    }
    if (!$("found").hidden && $("search").value.trim() === wanted) showFound();
  }, 200);
  return [];
}
