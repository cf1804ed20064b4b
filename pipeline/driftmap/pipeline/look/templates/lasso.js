// Rows gathered with a lasso: counted now, and lit in every window.
function setLassoing(isLassoing) {
  view.isLassoing = isLassoing;
  $("lasso").setAttribute("aria-pressed", String(isLassoing));
  for (const pane of Object.values(PANES)) $(pane.id).classList.toggle("is-lassoing", isLassoing);
}

function closeLasso(isDrawn) {
  const way = view.lasso;
  view.lasso = null;
  setLassoing(false);
  if (!isDrawn || way.length < 3) { redraw(); return; }
  const place = placeIn(view.lassoPane), chosen = new Uint8Array(names.length);
  view.lassoPane.each((x, y, map, row) => { if (isInside(way, place.x(x), place.y(y))) chosen[map.entities[row]] = 1; });
  select(chosen);
}

function select(chosen) {
  view.selected = chosen;
  drawSelected();
  relight();
  inSight.forEach(drawSmall);
  if (last > 0) drawQuarters();
}

function isInside(way, x, y) {
  let isIn = false;
  for (let i = 0, j = way.length - 1; i < way.length; j = i++) {
    const [xi, yi] = way[i], [xj, yj] = way[j];
    if (yi > y !== yj > y && x < (xj - xi) * (y - yi) / (yj - yi) + xi) isIn = !isIn;
  }
  return isIn;
}

function drawSelected() {
  $("selected-card").hidden = view.selected === null;
  if (view.selected === null) return;
  const map = nearest(), rows = [];
  for (let row = 0; row < map.entities.length; row++) if (view.selected[map.entities[row]]) rows.push(row);
  const total = view.selected.reduce((sum, one) => sum + one, 0);
  $("selected-count").textContent = `${count(total)} selected`;
  const here = windows.length > 1 ? [make("p", { className: "note", text: `${count(rows.length)} of them in ${shorten(map.label, 60)}` })] : [];
  $("selected").replaceChildren(...here, ...(view.colouring.kind === "category" ? [countLabels(map, rows)] : []));
}

function countLabels(map, rows) {
  const counts = new Map();
  for (const row of rows) counts.set(codeOf(map, row), (counts.get(codeOf(map, row)) || 0) + 1);
  const top = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 8);
  return make("ul", { className: "bars" }, ...top.map(([code, n]) => {
    const bar = make("span", { className: "bar" }), number = paletteOf(code);
    bar.style.width = `${100 * n / top[0][1]}%`;
    bar.style.background = number < 0 ? "var(--other)" : paletteColour(number);
    return make("li", {}, make("span", { className: "name", text: view.colouring.values[code], title: view.colouring.values[code] }), make("span", { className: "track" }, bar), make("b", { text: count(n) }));
  }));
}
