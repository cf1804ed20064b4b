// Words and numbers of a large store's rows: of those that are drawn of the two windows looked at, asked for once both were
// read and the eye rests. They say why, and give clusters their names.
const PAIR_DELAY_MS = 200;
const clusterNames = new Map(), NO_REASONS = { words: [], columns: [], scale: [[], []] };
let pairTimer = null, pairWaits = "", pairAsked = "", pairFlaw = { key: "", text: "" };
// A word whose rows the address asks to select, as the page opens.
let wishedWord = ((new URLSearchParams(location.hash.slice(1)).get("sel") || "").match(/^word\/(.*)$/) || [])[1];

const pairKey = (...pair) => pair.map((t) => `${windows[t].index}/${windows[t].map}`).join();
const isPairRead = (a, b) => data.pair === pairKey(a, b);

// From `drawReasons`: says whether the reasons of the pair can be drawn, else asks for what they need.
function hasPair(a, b) {
  if (!data.has_traits || isPairRead(a, b)) return true;
  const key = pairKey(a, b);
  if (![pairWaits, pairAsked, pairFlaw.key].includes(key) && windows[a].isRead && windows[b].isRead) {
    clearTimeout(pairTimer);
    pairWaits = key;
    pairTimer = setTimeout(() => { pairWaits = ""; askForPair(a, b); }, PAIR_DELAY_MS);
  }
  $("reasons-title").textContent = "Reasons";
  $("reasons").replaceChildren(make("p", { className: "note", text: pairFlaw.key === key ? pairFlaw.text : "reading …" }));
  drawReasons.key = null;
  return false;
}

async function askForPair(a, b) {
  const key = pairKey(a, b);
  if (pairAsked === key) return;
  pairAsked = key;
  try {
    const { header, read } = await askStreams(`traits/${windows[a].index}/${windows[b].index}`);
    const isCurrent = [a, b].every((t) => windows[t] && header.windows[windows[t].index]?.map === windows[t].map);
    if (pairAsked === key && isCurrent) takePair(key, header, read);
  } catch (error) {
    pairFlaw = { key, text: `Words and columns cannot be read: ${error.message}` };
  }
  if (pairAsked === key) pairAsked = "";
  drawReasons.key = null;
  drawReasons();
}

function takePair(key, header, read) {
  for (const map of windows) Object.assign(map, { words: null, numbers: [], traits: null });
  for (const map of windows) {
    const given = header.windows[map.index];
    if (!given || given.map !== map.map) continue;
    const [lengths, codes] = given.words.map(read);
    map.traits = { rows: read(given.rows), lengths, codes: Uint16Array.from(codes), numbers: given.numbers.map((column) => Uint8Array.from(read(column))) };
    spreadTraits(map, header.coding[3]);
  }
  data.reasons = header;
  data.pair = key;
  for (const [cluster, name] of Object.entries(header.names)) clusterNames.set(`cluster ${cluster}`, `cluster ${name}`);
  if (nameClusters()) showNames();
  if (header.words.length) $("search").placeholder = "Find an id, a word or a name";
  const wished = wishedWord === undefined ? -1 : header.words.indexOf(decodeURIComponent(wishedWord));
  wishedWord = undefined;
  if (wished >= 0) selectWord(wished);
}

// A window's rows are those of its sample in their order, and single ones that joined them, of which nothing is known here.
function spreadTraits(map, missing) {
  const { rows, lengths, codes, numbers } = map.traits, n = map.rows.length, none = new Uint16Array(0), at = new Int32Array(n).fill(-1), starts = new Int32Array(rows.length);
  for (let k = 1; k < rows.length; k++) starts[k] = starts[k - 1] + lengths[k - 1];
  for (let row = 0, k = 0; row < n && k < rows.length; row++) if (map.rows[row] === rows[k]) at[row] = k++;
  map.words = Array.from(at, (k) => (k < 0 || !lengths[k] ? none : codes.subarray(starts[k], starts[k] + lengths[k])));
  map.numbers = numbers.map((column) => Uint8Array.from(at, (k) => (k < 0 ? missing : column[k])));
}

// Clusters are numbered until their words are known.
function nameClusters() {
  const column = data.has_clusters ? data.columns[data.columns.length - 1] : null;
  if (!column || !column.values) return false;
  const before = column.values.join();
  column.values.forEach((value, code) => { column.values[code] = clusterNames.get(value) ?? value; });
  return column.values.join() !== before;
}

const nameIn = (text) => text.replace(/\bcluster \d+\b/gi, (found) => {
  const name = clusterNames.get(found.toLowerCase());
  return name ? found[0] + name.slice(1) : found;
});

function showNames() {
  for (const answer of answers.all) answer.text = nameIn(answer.text);
  drawAnswers.key = null;
  drawAnswers();
  drawLegend();
  drawChanges();
  redraw(true);
}

// Who moved most into a window against its neighbours is asked for where the eye rests; the card then says of which steps.
let moversTimer = null;

function startMovers() {
  $("movers-card").hidden = true;
  $("movers-of").value = "step";
  $("movers-of").options[0].textContent = "steps looked at";
}

function askForMovers(t) {
  const map = windows[t], isKnown = map.moversOf === map.map;
  clearTimeout(moversTimer);
  if (isKnown || t === 0 || !map.isRead || !windows[t - 1].isRead) return;
  moversTimer = setTimeout(async () => {
    map.moversOf = map.map;
    try {
      const { movers } = await (await ask(`movers/${map.index}`)).json();
      map.movers = movers.map(([entity, distance, own]) => ({ t: map.t, entity, distance, own }));
      drawMovers();
      if (movers.length) { $("movers-card").hidden = false; drawEvents(); }
    } catch (error) {
      showLiveNotices(`Who moved into ${shorten(map.label, 60)} is not known: ${error.message}`);
    }
  }, 2 * PAIR_DELAY_MS);
}
