// Out of the page: ids, a table, a picture, of the selected rows, or of those that are seen in window B.
function listSeen() {
  const map = nearest(), colours = coloursOf(map.t), place = placeIn(PANES.now), rows = [];
  for (let row = 0; row < colours.length; row++) {
    const x = place.x(map.places[2 * row]), y = place.y(map.places[2 * row + 1]);
    if (colours[row] !== HIDDEN && x >= 0 && x <= place.w && y >= 0 && y <= place.h) rows.push([map, row]);
  }
  return rows;
}

function listToSave() {
  if (!view.selected) return listSeen();
  return windows.flatMap((map) => Array.from(map.entities, (entity, row) => [map, row]).filter(([, row]) => view.selected[map.entities[row]]));
}

const sayWhat = () => (view.selected ? "selected" : "seen");

async function copyIds() {
  const ids = [...new Set(listToSave().map(([map, row]) => names[map.entities[row]]))], text = ids.join("\n");
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // no permission, or a browser that has none for files
    const area = make("textarea", { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  sayOutcome(`${count(ids.length)} ids copied, of the rows ${sayWhat()}`);
}

const quote = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

async function saveTable() {
  await unpackDetails();
  const [cx, cy, unit] = data.frame, rows = listToSave(), place = (value) => String(Number(value.toPrecision(7)));
  const lines = [["window", "id", "x", "y", ...data.columns.map(({ name }) => name), ...data.details.map(({ name }) => name)]];
  for (const [map, row] of rows) {
    const texts = [...data.columns.map((_, c) => textOf(map, row, c)), ...data.details.map((_, c) => detailOf(map, row, c) ?? "")];
    lines.push([map.label, names[map.entities[row]], place(cx + unit * map.places[2 * row]), place(cy + unit * map.places[2 * row + 1]), ...texts]);
  }
  const text = lines.map((line) => line.map(quote).join(",")).join("\r\n");
  download(new Blob([`${text}\r\n`], { type: "text/csv" }), "rows.csv");
  sayOutcome(`${count(rows.length)} rows saved, of those ${sayWhat()}`);
}

// The maps as they are drawn now, with the names of their windows.
function savePicture() {
  drawLarge();
  const panes = [...(view.isComparing ? [["since-map", windows[sinceWindow()].label]] : []), ["map", nearest().label]];
  const sizes = panes.map(([id]) => $(id)), gap = 2, width = sizes.reduce((sum, one) => sum + one.width + gap, -gap), head = Math.round(sizes[0].height / 16);
  const sheet = make("canvas", { width, height: sizes[0].height + head }), context = sheet.getContext("2d");
  context.fillStyle = themed("--card");
  context.fillRect(0, 0, width, sheet.height);
  context.font = `600 ${Math.round(head * 0.6)}px system-ui, sans-serif`;
  let x = 0;
  for (const [k, [id, label]] of panes.entries()) {
    if (id === "map") context.drawImage($("points"), x, head, sizes[k].width, sizes[k].height);
    context.drawImage(sizes[k], x, head);
    context.fillStyle = themed("--ink");
    context.fillText(shorten(label, 60), x + head / 3, head * 0.75);
    x += sizes[k].width + gap;
  }
  sheet.toBlob((blob) => { download(blob, "map.png"); sayOutcome("the map saved as a picture"); });
}

function download(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function sayOutcome(text) {
  $("save-note").textContent = text;
}

function startSave() {
  $("copy-ids").addEventListener("click", copyIds);
  $("save-table").addEventListener("click", saveTable);
  $("save-picture").addEventListener("click", savePicture);
}
