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

// `by`: what the rows have in common, where that says it: a word, a group of a window, a text.
function select(chosen, by = null) {
  view.selected = chosen;
  view.selectedBy = by;
  drawSelected();
  drawReasons();
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
  $("selected-count").textContent = `${count(total)} selected${view.selectedBy ? `: ${shorten(view.selectedBy.name, 60)}` : ""}`;
  const here = windows.length > 1 ? [make("p", { className: "note", text: `${count(rows.length)} of them in ${shorten(map.label, 60)}` })] : [];
  const counts = last > 0 && total ? [drawCounts(), makeAxis(0, (t) => (t + 0.5) / windows.length)] : [];
  $("selected").replaceChildren(...here, ...counts, ...(view.colouring.kind === "category" ? [countLabels(map, rows)] : []));
  fitAxes();
}

// Selected rows of every window.
function drawCounts() {
  const counts = windows.map((map) => map.entities.reduce((sum, entity) => sum + view.selected[entity], 0)), top = Math.max(1, ...counts);
  const chart = draw("svg", { viewBox: `0 0 ${windows.length * 10} 40`, preserveAspectRatio: "none", class: "timeline counts", role: "img", "aria-label": `Selected rows of each window: ${counts.join(", ")}` });
  counts.forEach((n, t) => {
    const height = 38 * n / top, hit = draw("rect", { class: "hit", x: t * 10, y: 0, width: 10, height: 40 }, draw("title"));
    hit.firstChild.textContent = `${windows[t].label}: ${count(n)} rows`;
    hit.addEventListener("click", () => { setPlaying(false); goTo(t); });
    chart.append(draw("rect", { x: t * 10 + 1, y: 40 - height, width: 8, height }), hit);
  });
  chart.append(draw("rect", { class: "here", x: Math.round(view.time) * 10, y: 0, width: 10, height: 40 }));
  return chart;
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
