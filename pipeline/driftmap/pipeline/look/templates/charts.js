// Charts of movement: how far rows moved in a step, and which labels moved when.
const HEAT_ROW = 18;
// The scale of the heat map is the same on every page: from 1/64 of a spread to 1.
const HEAT_LOW = 1 / 64, HEAT_HIGH = 1;
const heatPart = (value) => Math.log(Math.max(value, HEAT_LOW) / HEAT_LOW) / Math.log(HEAT_HIGH / HEAT_LOW);

// The column whose labels the charts speak of: the one that colours, or the first there is.
const chartColumn = () => (view.colouring.kind === "category" ? view.colouring.c : data.columns.findIndex((column) => column.kind === "category"));

function drawHistogram() {
  const edges = data.bin_edges, n = edges.length + 1, map = windows[stepNow()], total = map.histogram.reduce((sum, k) => sum + k, 0);
  $("histogram-note").textContent = `${shorten(windows[map.t - 1].label, 40)} → ${shorten(map.label, 40)}: ${count(total)} rows in both. Line: all steps.`;
  const all = windows.reduce((sums, one) => sums.map((sum, k) => sum + one.histogram[k]), new Array(n).fill(0));
  const share = (counts) => { const sum = counts.reduce((a, b) => a + b, 0) || 1; return counts.map((k) => k / sum); };
  const bars = share(map.histogram), line = share(all), top = Math.max(...bars, ...line, 1e-9);
  const chart = draw("svg", { viewBox: "0 0 400 150", class: "histogram", role: "img", "aria-label": "Rows by how far they moved" });
  const x = (k) => 6 + 388 * k / n, y = (value) => 122 - 112 * value / top;
  bars.forEach((value, k) => {
    const bar = draw("rect", { class: "column", x: x(k) + 1, y: y(value), width: 388 / n - 2, height: Math.max(0, 122 - y(value)) });
    bar.append(draw("title"));
    bar.firstChild.textContent = `${k === 0 ? "below" : figure(edges[k - 1], 3)}${k > 0 && k < n - 1 ? " to" : ""} ${k < n - 1 ? figure(edges[k], 3) : "and more"}: ${count(map.histogram[k])} rows`;
    chart.append(bar);
  });
  chart.append(draw("polyline", { class: "usual", points: line.flatMap((value, k) => [`${x(k)},${y(value)}`, `${x(k + 1)},${y(value)}`]).join(" ") }));
  chart.append(draw("line", { class: "axis", x1: 6, x2: 394, y1: 122, y2: 122 }));
  [[1 / 64, "1/64"], [1 / 16, "1/16"], [1 / 4, "1/4"], [1, "1 spread"], [4, "4"]].forEach(([value, name]) => {
    const at = x(edges.indexOf(value) + 1), text = draw("text", { x: Math.min(at, 386), y: 139, "text-anchor": "middle" });
    text.textContent = name;
    chart.append(draw("line", { class: "axis", x1: at, x2: at, y1: 122, y2: 126 }), text);
  });
  $("histogram").replaceChildren(chart);
}

function drawHeat() {
  const c = chartColumn(), column = data.columns[c];
  $("heat-card").hidden = !column;
  $("histogram-card").classList.toggle("wide", !column);
  if (!column) return;
  const n = Math.min(column.values.length, windows.at(-1).label_drift[c].length);
  const chart = draw("svg", { viewBox: `0 0 ${last * 10} ${n * HEAT_ROW}`, preserveAspectRatio: "none", class: "heat", role: "img", "aria-label": `Drift of each ${column.name} in each step` });
  chart.style.height = `${n * HEAT_ROW}px`;
  for (let t = 1; t <= last; t++) {
    windows[t].label_drift[c].forEach((value, k) => {
      if (value === null) return;
      const cell = draw("rect", { x: (t - 1) * 10 + 0.4, y: k * HEAT_ROW + 1, width: 9.2, height: HEAT_ROW - 2 });
      const floor = windows[t].noise_floor, isStill = floor !== null && value <= floor;
      if (isStill) cell.classList.add("still"); else cell.style.fill = paintMoved(heatPart(value));
      cell.append(draw("title"));
      cell.firstChild.textContent = `${column.values[k]}, into ${windows[t].label}: ${figure(value)} spreads${isStill ? ", no more than rows whose neighbours stayed" : ""}`;
      cell.addEventListener("click", () => { setPlaying(false); goTo(t); showMap(); });
      chart.append(cell);
    });
  }
  chart.append(draw("rect", { class: "here", y: 0, width: 10, height: n * HEAT_ROW }));
  const labels = make("div", { className: "heat-names" }, ...column.values.slice(0, n).map((text) => make("span", { text, title: text })));
  $("heat").replaceChildren(labels, make("div", { className: "heat-side" }, chart, makeAxis(1, (t) => (t - 0.5) / last)));
  fitAxes();
  $("heat-note").textContent = `How far the rows of each ${shorten(column.name, 40)} moved into each window, on average, in spreads.${column.values.length > n ? ` The ${n} most frequent of ${count(column.values.length)}.` : ""}`;
  $("heat-note").append(makeHeatKey());
}

function makeHeatKey() {
  const bar = make("i", { className: "heat-bar" });
  bar.style.background = `linear-gradient(90deg, ${[0, 1 / 3, 2 / 3, 1].map(paintMoved)})`;
  const still = make("span", {}, make("i", { className: "heat-still" }), " no more than rows whose neighbours in the data stayed");
  return make("span", { className: "heat-key" }, make("span", {}, "1/64 and less ", bar, " 1 and more"), still);
}

function drawStepCharts() {
  if (last === 0) return;
  drawQuarters();
  for (const mark of document.querySelectorAll(".heat .here")) mark.setAttribute("x", (stepNow() - 1) * 10);
  drawMovers();
  markEvents();
}
