// Figures of every window, drawn on the slider's own axis.
const FIGURES = [
  { field: "neighbours", name: "neighbours kept", digits: 2, about: "Share of a row's nearest neighbours in the data that are among its nearest on the map. 1 is best." },
  { field: "drift", name: "drift", digits: 3, about: "Mean distance that related rows moved since the window before, over the spread of the maps. 0 is still." },
  { field: "related", name: "related rows", digits: 2, about: "Share of the window's rows whose id was also in the window before." },
  { field: "strength", name: "strength", digits: 3, about: "How strongly the alignment pulled on the window's related rows, on average: as given, or as the data allow. What it cost is not measured." },
  { field: "n_rows", name: "rows", digits: 0, about: "Rows of the window." },
];
const STRIP_WIDTH = 1000, STRIP_HEIGHT = 26;

const stripX = (t) => (last === 0 ? 0.5 : t / last) * STRIP_WIDTH;

function makeStrip() {
  for (const one of FIGURES) {
    const values = windows.map((map) => map[one.field]), known = values.filter((value) => value !== null);
    if (!known.length) continue;
    const chart = draw("svg", { viewBox: `0 0 ${STRIP_WIDTH} ${STRIP_HEIGHT}`, preserveAspectRatio: "none", class: "spark", role: "img", "aria-label": `${one.name} of every window; the table below has the figures` });
    chart.append(...provisionalBands(), ...sparkLines(values), draw("line", { class: "cursor", y1: 0, y2: STRIP_HEIGHT }));
    chart.addEventListener("pointerdown", (event) => seek(chart, event));
    chart.addEventListener("pointermove", (event) => { if (event.buttons) seek(chart, event); });
    const value = make("output", { data: { field: one.field, digits: one.digits } });
    $("strip").append(make("span", { className: "spark-name", textContent: one.name, title: one.about }), chart, value);
  }
  const n = windows.filter((map) => map.status === "provisional").length;
  if (last > 0) $("ends").replaceChildren(makeAxis(0, (t) => t / last));
  $("provisional").hidden = n === 0;
  $("provisional").textContent = `shaded: ${n === 1 ? "1 window is" : `${n} windows are`} provisional and may still move`;
}

function seek(chart, event) {
  const box = chart.getBoundingClientRect();
  setPlaying(false);
  goTo(Math.round((event.clientX - box.left) / box.width * last));
}

function provisionalBands(height = STRIP_HEIGHT) {
  const half = last === 0 ? STRIP_WIDTH / 2 : STRIP_WIDTH / last / 2;
  return windows.filter((map) => map.status === "provisional").map(({ t }) => {
    const x = Math.max(0, stripX(t) - half);
    return draw("rect", { class: "band", x, y: 0, width: Math.min(STRIP_WIDTH, stripX(t) + half) - x, height });
  });
}

// Runs of known values, between the least and the greatest; a flat one in the middle.
function sparkLines(values) {
  const known = values.filter((value) => value !== null), low = Math.min(...known), high = Math.max(...known);
  const y = (value) => (high === low ? STRIP_HEIGHT / 2 : 3 + (STRIP_HEIGHT - 6) * (1 - (value - low) / (high - low)));
  const runs = [];
  values.forEach((value, t) => {
    if (value === null) return;
    if (t === 0 || values[t - 1] === null) runs.push([]);
    runs.at(-1).push([stripX(t), y(value)]);
  });
  return runs.map((run) => (run.length > 1
    ? draw("polyline", { class: "spark-line", points: run.map((at) => at.join()).join(" ") })
    : draw("line", { class: "spark-line", x1: run[0][0] - 4, x2: run[0][0] + 4, y1: run[0][1], y2: run[0][1] })));
}

// In full up to 9,999,999: more has no room.
const sayRows = (n) => (n < 1e7 ? count(n) : n.toLocaleString("en", { notation: "compact", maximumFractionDigits: 1 }));

function moveCursors() {
  for (const cursor of document.querySelectorAll(".cursor")) {
    cursor.setAttribute("x1", stripX(view.time));
    cursor.setAttribute("x2", stripX(view.time));
  }
  const near = nearest();
  for (const output of $("strip").querySelectorAll("output")) {
    const value = near[output.dataset.field];
    output.textContent = output.dataset.field === "n_rows" ? sayRows(value) : figure(value, Number(output.dataset.digits));
  }
}
