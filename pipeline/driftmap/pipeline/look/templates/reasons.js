// The card of reasons: words and columns that are more and less from A to B, or that set the selected rows apart.
const MOST_REASONS = 5, N_EXAMPLES = 3;

function drawReasons() {
  $("reasons-card").hidden = !hasReasons() && !(hasExamples() && view.selected);
  if ($("reasons-card").hidden || view.isPlaying) return;
  const [a, b] = last > 0 ? pairNow() : [0, 0], key = `${a}/${b}`;
  if (drawReasons.key === key && drawReasons.selected === view.selected) return;
  [drawReasons.key, drawReasons.selected] = [key, view.selected];
  if (isLive && !hasPair(a, b)) return;
  const [older, newer] = [windows[a], windows[b]], [oldRows, newRows] = [older, newer].map(listChosen);
  const isNewer = newRows.length >= oldRows.length, here = isNewer ? newer : older, rows = isNewer ? newRows : oldRows, labels = [older, newer].map((map) => shorten(map.label, 22));
  const change = a !== b && oldRows.length && newRows.length ? weighChange(older, oldRows, newer, newRows) : null;
  const apart = view.selected && rows.length ? weighApart(here, rows) : null;
  const changed = change ? makeReasons(change, labels, "No word or column is clearly more or less.") : [];
  if (view.selected) {
    $("reasons-title").textContent = `What sets the selection apart in ${shorten(here.label, 30)}`;
    const found = apart ? makeReasons(apart, ["others", "selected"], "Nothing stands out against the other rows.") : [];
    const then = changed.length && hasReasons() ? [make("h3", { text: `The selection from ${labels[0]} to ${labels[1]}` }), ...changed] : [];
    $("reasons").replaceChildren(...(hasReasons() ? found : []), ...makeExamples(here, rows, apart), ...then, ...sayLimits());
  } else {
    $("reasons-title").textContent = a === b ? "Reasons" : `More and less from ${labels[0]} to ${labels[1]}`;
    const hint = make("p", { className: "note", text: "Draw a lasso around rows to see what sets them apart." });
    $("reasons").replaceChildren(...(change ? changed : [hint]), ...makeExamples(here, rows, change), ...sayLimits());
  }
}

const hasExamples = () => hasDetails() || (isLive && data.shown.length > 0);

function listChosen(map) {
  const rows = [];
  for (let row = 0; row < map.entities.length; row++) if (!view.selected || view.selected[map.entities[row]]) rows.push(row);
  return rows;
}

function sayLimits() {
  const said = hasDetails() ? sayMissingDetails() : [];
  if (isLive && data.share < 1 && hasReasons()) said.push("Of the rows that are drawn of these two windows.");
  if (data.reasons.is_sampled) said.push("Columns are those of a sample of the ids.");
  return said.map((text) => make("p", { className: "note", text }));
}

function makeReasons({ words, columns }, [from, to], nothing) {
  const more = words.filter(({ z }) => z > 0).slice(0, MOST_REASONS), less = words.filter(({ z }) => z < 0).slice(0, MOST_REASONS);
  const moved = columns.slice(0, MOST_REASONS), head = `${from} → ${to}`;
  if (!more.length && !less.length && !moved.length) return [make("p", { className: "note", text: nothing })];
  return [
    ...makeReasonList("Words: more", "more", more, head, sayShare), ...makeReasonList("Words: less", "less", less, head, sayShare),
    ...makeReasonList("Columns", "columns", moved, head, sayMean),
  ];
}

const sayShare = (value) => `${value > 0 && value < 0.01 ? "<1" : Math.round(100 * value)}%`;
const sayMean = (value) => (Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3) ? value.toExponential(1) : String(Number(value.toPrecision(3))));

function makeReasonList(title, kind, items, head, say) {
  if (!items.length) return [];
  const most = Math.max(...items.map(({ z }) => Math.abs(z)));
  const lines = items.map(({ name, z, from, to, w }) => {
    const bar = make("span", { className: `bar ${z > 0 ? "is-more" : "is-less"}` });
    bar.style.width = `${100 * Math.abs(z) / most}%`;
    const shown = w === undefined ? make("span", { className: "name", text: name, title: name }) : make("button", { type: "button", className: "name", text: name, title: `Select the ids that have the word ${name}` });
    if (w !== undefined) shown.addEventListener("click", () => selectWord(w));
    const figures = make("b", { text: `${z > 0 ? "▲" : "▼"} ${say(from)} → ${say(to)}` });
    return make("li", { title: `${Math.abs(z).toFixed(1)} standard errors` }, shown, make("span", { className: "track" }, bar), figures);
  });
  return [make("h3", {}, make("span", { textContent: title }), make("span", { className: "note", text: head })), make("ul", { className: "bars reasons-list", data: { kind } }, ...lines)];
}

// The rows that have most of the words that are more, else the first ones.
function makeExamples(map, rows, weighed) {
  if (!hasExamples() || !rows.length) return [];
  const telling = new Set((weighed ? weighed.words : []).filter(({ z }) => z > 0).slice(0, MOST_REASONS).map(({ w }) => w));
  const rate = (row) => (map.words ? map.words[row].reduce((n, word) => n + telling.has(word), 0) : 0);
  const best = rows.map((row) => [rate(row), row]).sort(([p, i], [q, j]) => q - p || i - j).slice(0, N_EXAMPLES);
  const list = make("ul", { className: "examples" }), fill = () => list.replaceChildren(...best.map(([, row]) => makeExample(map, row)));
  fill();
  unpackDetails().then(fill);
  return [make("h3", { textContent: "For example" }), list];
}

function makeExample(map, row) {
  const entity = map.entities[row], id = make("button", { type: "button", className: "other", text: shorten(names[entity], 40), title: `Follow ${names[entity]}` });
  id.addEventListener("click", () => follow(entity));
  return make("li", {}, id, ...(isLive ? [showRow(map.index, map.rows[row], { hasLabels: false })] : listDetails(map, row)));
}

// Ids whose text has a word in any window.
function selectWord(w) {
  const chosen = new Uint8Array(names.length);
  for (const map of windows) if (map.words) map.words.forEach((words, row) => { if (words.includes(w)) chosen[map.entities[row]] = 1; });
  select(chosen, { word: data.reasons.words[w], name: data.reasons.words[w] });
}
