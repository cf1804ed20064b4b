// Finding ids, labels and clusters, words, and texts that are shown; all but an id select the rows that have it.
const MOST_FOUND = 12, MOST_OTHERS = 3;
let lowered = null, marked = 0, others = [];

function findNames(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  lowered ??= names.map((name) => name.toLowerCase());
  const first = [], later = [];
  for (let e = 0; e < lowered.length; e++) {
    const at = lowered[e].indexOf(wanted);
    if (at === 0) first.push(e); else if (at > 0) later.push(e);
  }
  const byName = (a, b) => lowered[a].length - lowered[b].length || (lowered[a] < lowered[b] ? -1 : 1);
  return [...first.sort(byName), ...later.sort(byName)];
}

// What else has the text: a name, what it is, and what choosing it selects.
function findOthers(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const groups = data.columns.flatMap((column, c) => (column.kind === "category" ? column.values : []).flatMap((value, code) => (
    value.toLowerCase().includes(wanted) ? [{ text: value, kind: column.name, choose: () => selectValue(c, code) }] : []))).slice(0, MOST_OTHERS);
  const words = data.reasons.words.flatMap((word, w) => (word.startsWith(wanted) ? [{ text: word, kind: "word", choose: () => selectWord(w) }] : []))
    .sort((p, q) => p.text.length - q.text.length).slice(0, MOST_OTHERS);
  const texts = data.details.flatMap(({ name }, c) => {
    const codes = findTexts(c, wanted);
    return codes.size ? [{ text: `“${text.trim()}”`, kind: `in ${count(codes.size)} ${codes.size === 1 ? "text" : "texts"} of ${name}`, choose: () => selectTexts(c, text.trim()) }] : [];
  });
  return [...groups, ...words, ...texts];
}

function findTexts(c, wanted) {
  const { first, n_values: n } = data.details[c], found = new Set();
  for (let code = 0; code < n; code++) {
    const block = blocks[first + Math.floor(code / BLOCK_VALUES)];
    if (block && block[code % BLOCK_VALUES].toLowerCase().includes(wanted)) found.add(code);
  }
  return found;
}

function selectTexts(c, text) {
  const codes = findTexts(c, text.toLowerCase()), chosen = new Uint8Array(names.length);
  for (const map of windows) map.details[c].forEach((code, row) => { if (codes.has(code)) chosen[map.entities[row]] = 1; });
  select(chosen, { text, c, name: `“${text}” in ${data.details[c].name}` });
}

// Ids that have a label, or are in a cluster, in any window.
function selectValue(c, code) {
  const chosen = new Uint8Array(names.length);
  for (const map of windows) map.values[c].forEach((other, row) => { if (other === code) chosen[map.entities[row]] = 1; });
  select(chosen, { c, code, name: data.columns[c].values[code] });
}

function showFound() {
  const text = $("search").value, found = findNames(text), list = $("found-list"), isSought = text.trim() !== "";
  marked = 0;
  others = isLive ? [...findOthers(text), ...findServed(text, found)] : findOthers(text);
  const most = others.length ? MOST_FOUND - 6 : MOST_FOUND;
  const options = found.slice(0, most).map((entity) => make("li", { text: names[entity], data: { entity } }));
  others.forEach(({ text: name, kind }, k) => options.push(make("li", { data: { other: k } }, make("span", { text: name }), make("span", { className: "note", text: ` ${kind}` }))));
  options.forEach((option, k) => {
    Object.assign(option, { id: `found-${k}`, role: "option" });
    option.addEventListener("pointerdown", (event) => { event.preventDefault(); chooseOption(option); });
  });
  list.replaceChildren(...options);
  const nothing = hasWords() || hasDetails() ? "nothing found" : "no such id";
  const none = data.entities.length < data.n_entities ? "not among the ids of the sample" : nothing;
  $("found-note").textContent = found.length > most ? `and ${count(found.length - most)} more ids` : isSought && !options.length ? none : "";
  list.hidden = !options.length;
  $("found").hidden = !isSought;
  $("search").setAttribute("aria-expanded", String(isSought));
  mark(0);
}

function mark(k) {
  const options = $("found").querySelectorAll("[role=option]");
  if (!options.length) { $("search").removeAttribute("aria-activedescendant"); return; }
  marked = (k + options.length) % options.length;
  options.forEach((option, n) => option.setAttribute("aria-selected", String(n === marked)));
  $("search").setAttribute("aria-activedescendant", options[marked].id);
  options[marked].scrollIntoView({ block: "nearest" });
}

function chooseOption({ dataset: { entity, other } }) {
  const chosen = other === undefined ? () => follow(Number(entity)) : others[Number(other)].choose;
  closeFound();
  $("search").value = "";
  $("search").blur();  // so that keys move in time again
  chosen();
}

function closeFound() {
  $("found").hidden = true;
  $("search").setAttribute("aria-expanded", "false");
}

function startSearch() {
  const search = $("search"), isMore = hasWords() || hasDetails();
  if (isMore) search.placeholder = "Find an id, a word or a name";
  if (hasDetails()) unpackDetails().then(() => { if (!$("found").hidden) showFound(); });
  search.addEventListener("input", showFound);
  search.addEventListener("focus", showFound);
  search.addEventListener("blur", closeFound);
  search.addEventListener("keydown", (event) => {
    const option = $("found").querySelectorAll("[role=option]")[marked];
    if (event.key === "ArrowDown") mark(marked + 1);
    else if (event.key === "ArrowUp") mark(marked - 1);
    else if (event.key === "Enter" && option) chooseOption(option);
    else if (event.key === "Escape") { search.value = ""; closeFound(); search.blur(); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}
