// A store that is too large for one file: the page was served, and asks where it came from for windows as they are looked
// at. Each brings its density of all rows, and a sample of its rows, of the same ids in every window.
const MOST_COMPARED = 24, MOST_DRIFTING = 40;
let isAsking = false, isSilent = false;

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(shorten(await answer.text(), 300));
  return answer;
}

const askStreams = async (path) => openStreams(new Uint8Array(await (await ask(path)).arrayBuffer()));

const emptyWindow = (given, t) => ({
  ...given, t, entities: new Int32Array(0), rows: new Int32Array(0), places: new Float32Array(0), values: data.columns.map(() => new Int32Array(0)),
  density: null, turnover: null, movers: [], events: [], histogram: [0, ...data.bin_edges.map(() => 0)], label_drift: data.columns.map(() => []),
  noise_floor: null, numbers: [], details: [], words: null, isRead: false, flaw: "",
});

// What `start` needs of a store of which no window was read yet; then the window that the page opens with.
async function openLive() {
  const head = JSON.parse($("live").textContent);
  names = [];
  data = { ...head, columns: [], details: [], entities: names, n_entities: 0, reasons: NO_REASONS };
  answers = { all: [], highlights: [], newest: [0, 0], is_complete: false };
  windows = head.windows.map(emptyWindow);
  last = windows.length - 1;
  $("count").textContent = "reading …";
  const opened = windowToOpen();
  for (const t of [opened, ...windows.keys()]) if (!data.columns.length && !windows.some(({ isRead }) => isRead)) await readWindow(t);
}

async function readWindow(t) {
  const map = windows[t];
  try {
    fillWindow(map, await askStreams(`window/${map.index}`));
    map.flaw = "";
  } catch (error) {
    map.flaw = error.message;
    map.triedAt = performance.now();
  }
}

function fillWindow(map, { header, read }) {
  const entities = read(header.entities), x = read(header.x), y = read(header.y), places = new Float32Array(2 * entities.length);
  for (let row = 0, e = -1; row < entities.length; row++) {
    e = entities[row] += e;
    places[2 * row] = x[row];
    places[2 * row + 1] = y[row];
    learnName(e, header.names[row]);
  }
  learnColumns(header.described);
  Object.assign(data, { frame: header.frame, steps: header.steps, spread: header.spread });
  const changed = header.turnover === null ? null : read(header.turnover);
  Object.assign(map, {
    entities, places, rows: read(header.rows), values: header.columns.map(read), density: read(header.density), map: header.map, isRead: true,
    turnover: changed && Float32Array.from(changed, (code) => (code ? (code - 1) / data.turnover_steps : NaN)),
  });
  for (const other of [map, windows[map.t + 1]]) if (other) { forgetDrawn(other); measureStep(other); }
}

function learnName(entity, name) {
  while (names.length <= entity) names.push("");
  names[entity] = name;
  if (view.selected && view.selected.length < names.length) {
    const grown = new Uint8Array(2 * names.length);
    grown.set(view.selected);
    view.selected = grown;
  }
}

// Labels have the numbers in which they came: those of later windows stand behind.
function learnColumns(described) {
  described.forEach((column, c) => {
    if (!data.columns[c]) { data.columns[c] = column; windows.forEach((map) => { map.values[c] = new Int32Array(0); map.label_drift[c] = []; }); return; }
    const known = data.columns[c].values;
    if (known) for (let code = known.length; code < column.values.length; code++) known.push(column.values[code]);
  });
  nameClusters();
}

function forgetDrawn(map) {
  map.moves = map.fastest = map.colourKey = map.gridKey = map.anchorKey = undefined;
}

// Windows without rows are framed as the nearest ones that were read.
function frameLive() {
  const read = windows.filter(({ isRead }) => isRead), wasWandering = isWandering;
  if (!read.length) return;
  makeFrames(windows.map(({ t }) => read.reduce((best, one) => (Math.abs(one.t - t) < Math.abs(best.t - t) ? one : best))));
  if (wasWandering !== undefined && wasWandering === isWandering) view.isCentred = isWandering && $("centre").checked;
  $("centre-box").hidden = !isWandering;
}

const isOutside = (map) => {
  const { cx, cy, half } = robustExtent([map]);
  return Math.max(Math.abs(cx - whole.cx), Math.abs(cy - whole.cy)) + half > 1.02 * whole.half;
};

// What changed into a window, of the rows drawn in it and in the one before.
function measureStep(map) {
  const before = windows[map.t - 1];
  if (!map.isRead || !before || !before.isRead) return;
  const moves = movesInto(map.t), histogram = [0, ...data.bin_edges.map(() => 0)];
  let n = 0, sum = 0;
  for (const move of moves) {
    if (!(move >= 0)) continue;
    let bin = 0;
    while (bin < data.bin_edges.length && move >= data.bin_edges[bin]) bin++;
    histogram[bin]++;
    n++;
    sum += move;
  }
  Object.assign(map, { histogram, related: map.related ?? n / Math.max(1, moves.length), drift: map.drift ?? (n ? sum / n : null) });
  map.label_drift = data.columns.map((column, c) => (column.kind === "category" ? meanByLabel(map.values[c], moves, Math.min(MOST_DRIFTING, column.values.length)) : []));
}

function meanByLabel(codes, moves, n) {
  const sums = new Float64Array(n), counts = new Float64Array(n);
  moves.forEach((move, row) => { if (move >= 0 && codes[row] < n) { sums[codes[row]] += move; counts[codes[row]]++; } });
  return Array.from(sums, (sum, code) => (counts[code] ? sum / counts[code] : null));
}

// The windows to read next: what is shown, what is in sight among the small maps, the next one, and those that the server
// has read to compare them: river and charts are of these too.
function nextToRead() {
  const { pair } = pairAt(view.time), now = performance.now();
  const wanted = [nearest().t, pair.a.t, pair.b.t, sinceWindow(), ...[...inSight].map((cell) => Number(cell.dataset.window)), pair.b.t + 1, ...comparedWindows];
  return wanted.find((t) => t <= last && !windows[t].isRead && !(windows[t].flaw && now - windows[t].triedAt < 1000 * data.poll_seconds));
}

const isWaiting = () => { const { pair } = pairAt(view.time); return !((pair.a.isRead || pair.a.flaw) && (pair.b.isRead || pair.b.flaw)); };

async function askForWindows() {
  if (isAsking) return;
  isAsking = true;
  let hasRead = false;
  for (let t = nextToRead(); t !== undefined; t = nextToRead()) {
    const n = data.columns.reduce((sum, { values }) => sum + (values ? values.length : 0), 0);
    await readWindow(t);
    if (windows[t].isRead) {
      hasRead = true;
      for (const known of joined) await joinWindow(windows[t], known);
      if (data.columns.reduce((sum, { values }) => sum + (values ? values.length : 0), 0) > n) { drawLegend(); colourKey++; }
      showRead(t);
    }
    showLiveNotices();
  }
  isAsking = false;
  if (hasRead) showSummaries();
  askForChanges();
  document.documentElement.dataset.read = windows.filter(({ isRead }) => isRead).length;
}

// What changed, in sentences, once nothing is left to read for now: the server reads the windows that it compares.
let changesOf = -1, comparedWindows = [];

async function askForChanges() {
  if (last === 0 || changesOf === data.n_commits || isAsking || !windows.some(({ isRead }) => isRead)) return;
  const asked = changesOf = data.n_commits;
  try {
    const { compared, all, highlights, newest, noise_floors: floors, events, described } = await (await ask("changes")).json();
    if (asked !== data.n_commits) return;
    learnColumns(described);
    const at = new Map(windows.map(({ index, t }) => [index, t]));
    const listed = all.map((one) => ({ ...one, text: nameIn(one.text), a: at.get(one.a), b: at.get(one.b), t: at.get(one.t) ?? null }));
    answers = { all: listed, highlights: highlights.map((k) => listed[k]), newest: newest.map((index) => at.get(index)), is_complete: false };
    compared.forEach((index, k) => { Object.assign(windows[at.get(index)], { noise_floor: floors[k], events: events[k] }); });
    comparedWindows = compared.map((index) => at.get(index)).reverse();
    drawAnswers.key = null;
    drawAnswers();
    drawChanges();
    askForWindows();
    document.documentElement.dataset.compared = compared.length;
  } catch (error) {
    showLiveNotices(`What changed is not known: ${error.message}`);
  }
}

// What is drawn of all windows, once nothing is left to read for now.
function showSummaries() {
  $("strip").replaceChildren();
  $("ends").replaceChildren();
  makeStrip();
  drawRiver();
  drawChanges();
  moveCursors();
  fitAxes();
  $("quality-rows").replaceChildren(...windows.map(makeQualityRow));
}

// A window came: what was drawn without it is drawn again.
function showRead(t) {
  view.pair = points = lowered = null;
  neighbours.clear();
  findTopMove.cached = undefined;
  for (const one of colourings) if (one.kind === "moved" && !one.of) one.top = findTopMove();
  if (view.colouring.kind === "moved") colourKey++;
  showTime.near = showTime.step = null;
  drawReasons.key = null;
  if (isOutside(windows[t])) { frameLive(); redraw(true); return; }
  inSight.forEach((cell) => { if (Number(cell.dataset.window) === t) drawSmall(cell); });
  redraw();
}

function showLiveNotices(news = "") {
  const most = windows.reduce((best, map) => (map.n_rows > best.n_rows ? map : best)), said = program ? [] : [NO_GL];
  if (data.share < 1) {
    said.push(`A large store: of ${count(most.n_rows)} rows of a window about ${count(Math.round(data.share * most.n_rows))} are drawn, those of the same ids in every window. Densities and counts of windows are of all rows; all that is said of rows, labels and moves is of those drawn.`);
  }
  for (const { label, flaw } of windows) if (flaw) said.push(`Window ${shorten(label, 60)} cannot be read: ${flaw}`);
  if (isSilent) said.push("The server does not answer any more (driftmap view was ended?): what was read stays.");
  if (news) said.push(news);
  $("notices").replaceChildren(...said.map((text) => make("p", { text })));
}

async function lookForNews() {
  try {
    const head = await (await ask("head")).json();
    isSilent = false;
    if (head.n_commits !== data.n_commits) grow(head); else showLiveNotices(lookForNews.said);
  } catch {
    isSilent = true;
    showLiveNotices(lookForNews.said);
  }
  setTimeout(lookForNews, 1000 * data.poll_seconds);
}

// The store has grown: new windows stand behind; those laid out again are read again once they are looked at.
function grow(head) {
  const known = new Map(windows.map((map) => [map.index, map])), now = nearest().index, fresh = head.windows.filter(({ index }) => !known.has(index));
  data.n_commits = head.n_commits;
  windows = head.windows.map((given, t) => {
    const map = known.get(given.index);
    if (!map) return emptyWindow(given, t);
    const isRead = map.isRead && map.map === given.map;
    return Object.assign(map, given, { t, isRead, map: map.map });
  });
  last = windows.length - 1;
  view.pair = null;
  comparedWindows = [];
  showWindows();
  lookForNews.said = fresh.length ? `The store has grown: ${fresh.map(({ label }) => shorten(label, 40)).join(", ")}.` : lookForNews.said;
  showLiveNotices(lookForNews.said);
  goTo(Math.max(0, windows.findIndex(({ index }) => index === now)));
  askForWindows();
}

// All that has a place for every window.
function showWindows() {
  document.documentElement.toggleAttribute("data-one-window", last === 0);
  $("time").max = $("since-time").max = last;
  $("transport").hidden = last === 0;
  watcher.disconnect();
  inSight.clear();
  $("grid").replaceChildren();
  makeThumbnails();
  sizeThumbnails();
  [...$("since").options].slice(1).forEach((option) => option.remove());
  listSince();
  frameLive();
  showSummaries();
  document.documentElement.dataset.ready = windows.length;
}

function makeQualityRow({ label, n_rows: n, status, neighbours: kept, related, drift, strength }) {
  const small = status === "final" ? [] : [make("small", { className: "narrow-state", textContent: status })];
  const name = make("th", { scope: "row", text: label });
  name.append(...small);
  const cells = [kept, related, drift, strength].map((value) => {
    const cell = make("td", { textContent: value === null ? "–" : value.toFixed(3), className: value === null ? "" : "figure" });
    if (value !== null) cell.style.setProperty("--part", `${Math.max(0, Math.min(1, value)) * 100}%`);
    return cell;
  });
  return make("tr", {}, name, make("td", { textContent: count(n) }), make("td", { className: "state", textContent: status }), ...cells);
}

function startLive() {
  startMovers();
  showLiveNotices();
  askForWindows();
  setTimeout(lookForNews, 1000 * data.poll_seconds);
}
