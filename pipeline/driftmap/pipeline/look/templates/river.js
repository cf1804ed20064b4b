// The river: rows of each label through time, on the slider's axis. A band is a label, a thread rows that changed theirs.
const RIVER_HEIGHT = 120, RIVER_GAP = 3, MAX_BANDS = 60;
// Rows that change their label are drawn from this share of a window's rows.
const LEAST_THREAD = 0.004;

// Columns of categories: the one that colours, else the clusters.
const riverColumn = () => (view.colouring.kind === "category" ? view.colouring.c : data.columns.findLastIndex((column) => column.kind === "category"));

function drawRiver() {
  const c = riverColumn();
  $("river-box").hidden = c < 0 || last === 0;
  if (c < 0 || last === 0) return;
  const n = Math.min(data.columns[c].values.length, MAX_BANDS), order = orderBands(c, n), heights = windows.map((map) => countCodes(map, c, n));
  const most = Math.max(...heights.map((counts) => counts.reduce((a, b) => a + b, 0)));
  const shown = order.filter((code) => heights.some((counts) => counts[code] > 0));
  const unit = (RIVER_HEIGHT - RIVER_GAP * Math.max(0, shown.length - 1)) / Math.max(1, most);
  const tops = heights.map((counts) => stack(counts, shown, unit));
  const chart = draw("svg", { viewBox: `0 0 ${STRIP_WIDTH} ${RIVER_HEIGHT}`, preserveAspectRatio: "none", class: "river", role: "img", "aria-label": `Rows of each ${data.columns[c].name} in every window` });
  chart.append(...provisionalBands(RIVER_HEIGHT));
  for (let t = 0; t < last; t++) chart.append(...drawThreads(c, t, n, heights, tops, unit));
  for (const code of shown) chart.append(drawBand(c, code, heights, tops, unit));
  chart.append(draw("line", { class: "since-cursor", y1: 0, y2: RIVER_HEIGHT }), draw("line", { class: "cursor", y1: 0, y2: RIVER_HEIGHT }));
  chart.addEventListener("pointerdown", (event) => seek(chart, event));
  chart.addEventListener("pointermove", (event) => { if (event.buttons) seek(chart, event); lightRiver(event); });
  chart.addEventListener("click", (event) => { if (event.target.dataset.code !== undefined) selectGroup(c, Number(event.target.dataset.code), windowUnder(event)); });
  chart.addEventListener("pointerleave", () => { focusOn(null); $("river-note").textContent = ""; });
  $("river").replaceChildren(chart, makeAxis(0, (t) => t / last));
  fitAxes();
  $("river-name").textContent = shorten(data.columns[c].name, 24);
  $("river-name").title = `Rows of each ${data.columns[c].name} in every window; bands lie as on the map, from top to bottom.`;
  moveCursors();
}

function countCodes(map, c, n) {
  const counts = new Float64Array(n);
  for (const code of map.values[c]) if (code < n) counts[code]++;
  return counts;
}

// Labels from the top of the map to its bottom, by the mean place of their rows in all windows.
function orderBands(c, n) {
  const sums = new Float64Array(n), counts = new Float64Array(n);
  for (const map of windows) {
    map.values[c].forEach((code, row) => { if (code < n) { sums[code] += map.places[2 * row + 1]; counts[code]++; } });
  }
  return Array.from({ length: n }, (_, code) => code).sort((a, b) => sums[b] / (counts[b] || 1) - sums[a] / (counts[a] || 1));
}

function stack(counts, shown, unit) {
  const tops = new Map(), there = shown.filter((code) => counts[code] > 0);
  let y = (RIVER_HEIGHT - unit * counts.reduce((a, b) => a + b, 0) - RIVER_GAP * (there.length - 1)) / 2;
  for (const code of there) { tops.set(code, y); y += unit * counts[code] + RIVER_GAP; }
  return tops;
}

function riverColour(code) {
  const number = view.colouring.kind === "category" ? paletteOf(code) : code < N_COLOURS ? code : OTHER;
  return number < 0 ? "var(--other)" : paletteColour(number);
}
const curve = (x1, y1, x2, y2) => `C${(x1 + x2) / 2},${y1} ${(x1 + x2) / 2},${y2} ${x2},${y2}`;

// A label's band: as high as its rows in each window; where it comes or goes it ends in the middle of the step.
function drawBand(c, code, heights, tops, unit) {
  const step = STRIP_WIDTH / last, half = Math.min(step / 2, 8);
  let path = "";
  for (let t = 0; t <= last; t++) {
    if (!tops[t].has(code) || (t > 0 && tops[t - 1].has(code))) continue;
    let end = t;
    while (end < last && tops[end + 1].has(code)) end++;
    const top = (k) => tops[k].get(code), base = (k) => top(k) + Math.max(0.6, unit * heights[k][code]);
    path += `M${stripX(t) - half},${top(t)}L${stripX(t)},${top(t)}`;
    for (let k = t; k < end; k++) path += curve(stripX(k), top(k), stripX(k + 1), top(k + 1));
    path += `L${stripX(end) + half},${top(end)}V${base(end)}L${stripX(end)},${base(end)}`;
    for (let k = end; k > t; k--) path += curve(stripX(k), base(k), stripX(k - 1), base(k - 1));
    path += `L${stripX(t) - half},${base(t)}Z`;
  }
  const band = draw("path", { d: path, class: "river-band", "data-code": code });
  band.style.fill = isVisible(code) ? riverColour(code) : "transparent";
  return band;
}

function drawThreads(c, t, n, heights, tops, unit) {
  const { a, b, from, to } = matchPair(t), flows = new Map(), least = Math.max(2, LEAST_THREAD * a.entities.length), threads = [];
  for (let k = 0; k < from.length; k++) {
    if (from[k] < 0 || to[k] < 0) continue;
    const old = a.values[c][from[k]], now = b.values[c][to[k]];
    if (old !== now && old < n && now < n) flows.set(old * n + now, (flows.get(old * n + now) || 0) + 1);
  }
  for (const [pair, rows] of flows) {
    const old = Math.floor(pair / n), now = pair % n;
    if (rows < least || !isVisible(old) || !isVisible(now)) continue;
    const x1 = stripX(t), x2 = stripX(t + 1), y1 = tops[t].get(old) + unit * heights[t][old] / 2, y2 = tops[t + 1].get(now) + unit * heights[t + 1][now] / 2;
    const thread = draw("path", { d: `M${x1},${y1}${curve(x1, y1, x2, y2)}`, class: "river-thread", "data-code": now });
    thread.style.stroke = riverColour(now);
    thread.style.strokeWidth = Math.max(1, unit * rows);
    threads.push(thread);
  }
  return threads;
}

function windowUnder(event) {
  const box = $("river").getBoundingClientRect();
  return Math.max(0, Math.min(last, Math.round((event.clientX - box.left) / box.width * last)));
}

// The rows that a group has in one window, lit in all.
function selectGroup(c, code, t) {
  select(litBy({ c, code, t, entities: [] }), { c, code, t, name: `${data.columns[c].values[code]} in ${windows[t].label}` });
}

function lightRiver(event) {
  const code = event.target.dataset.code;
  if (view.colouring.kind === "category") focusOn(code === undefined ? null : Number(code));
  const c = riverColumn(), t = windowUnder(event);
  const n = code === undefined ? 0 : windows[t].values[c].reduce((sum, other) => sum + (other === Number(code)), 0);
  $("river-note").textContent = code === undefined ? "" : `${shorten(data.columns[c].values[Number(code)], 40)}: ${count(n)} rows in ${shorten(windows[t].label, 30)}`;
}
