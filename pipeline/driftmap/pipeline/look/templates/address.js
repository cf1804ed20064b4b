// What is looked at, in the page's own address, so that a link shows the same: #w=B&a=A&by=colour&sel=rows.
const MOST_IDS = 300, ADDRESS_MS = 250;
let shownAddress = "", isNoting = false;

// The selected rows in words: how they were chosen, or their ids where they are few; empty where neither says it.
function describeSelection() {
  if (!view.selected) return "";
  const { word, text, c, code, t } = view.selectedBy || {};
  if (word !== undefined) return `word/${encodeURIComponent(word)}`;
  if (text !== undefined) return `text/${encodeURIComponent(data.details[c].name)}/${encodeURIComponent(text)}`;
  if (code !== undefined) return ["group", data.columns[c].name, data.columns[c].values[code], ...(t === undefined ? [] : [windows[t].label])].map(encodeURIComponent).join("/");
  const ids = [];
  for (let e = 0; e < names.length && ids.length <= MOST_IDS; e++) if (view.selected[e]) ids.push(encodeURIComponent(names[e]));
  return ids.length <= MOST_IDS ? `ids/${ids.join("/")}` : "";
}

function selectDescribed(described) {
  const [kind, ...parts] = described.split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  const columnOf = (columns) => columns.findIndex(({ name }) => name === parts[0]);
  if (kind === "word" && data.reasons.words.includes(parts[0])) selectWord(data.reasons.words.indexOf(parts[0]));
  if (kind === "text" && columnOf(data.details) >= 0) unpackDetails().then(() => selectTexts(columnOf(data.details), parts[1] || ""));
  if (kind === "group") {
    const c = columnOf(data.columns), code = c < 0 || !data.columns[c].values ? -1 : data.columns[c].values.indexOf(parts[1]), t = findLabel(parts[2]);
    if (code >= 0) { if (t >= 0) selectGroup(c, code, t); else selectValue(c, code); }
  }
  if (kind === "ids") {
    const wanted = new Set(parts);
    const chosen = Uint8Array.from(names, (name) => Number(wanted.has(name)));
    if (chosen.some(Boolean)) select(chosen);
  }
}

const findLabel = (label) => windows.findIndex((map) => map.label === label);

function makeAddress() {
  const parts = new URLSearchParams({ w: nearest().label });
  if (view.since !== "previous") parts.set("a", windows[sinceWindow()].label);
  if (view.colouring !== colourings[0]) parts.set("by", view.colouring.name);
  const selected = describeSelection();
  if (selected) parts.set("sel", selected);
  if (view.followed >= 0) parts.set("id", names[view.followed]);
  return parts.toString();
}

function noteAddress() {
  if (isNoting || view.isPlaying || isHosted) return;
  isNoting = true;
  setTimeout(() => {
    isNoting = false;
    const address = makeAddress();
    if (address === shownAddress || view.isPlaying) return;
    shownAddress = address;
    history.replaceState(null, "", `#${address}`);
  }, ADDRESS_MS);
}

function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1)), since = findLabel(parts.get("a")), now = findLabel(parts.get("w") ?? parts.get("b"));
  const by = colourings.findIndex(({ name }) => name === parts.get("by"));
  if (by >= 0) { $("by").value = String(by); $("by").dispatchEvent(new Event("change")); }
  if (since >= 0) chooseSince(String(since));
  if (now >= 0) goTo(now);
  if (parts.get("sel")) selectDescribed(parts.get("sel"));
  const entity = parts.has("id") ? names.indexOf(parts.get("id")) : -1;
  if (entity >= 0) follow(entity);
}

function startAddress() {
  shownAddress = makeAddress();  // as the page opens: nothing of it is in the address
  readAddress();
  addEventListener("hashchange", () => { if (location.hash.slice(1) !== shownAddress) readAddress(); });
}
