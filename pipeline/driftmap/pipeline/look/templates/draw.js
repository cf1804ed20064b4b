// Colours, and the large and small maps.
// Any two differ by at least 0.1 in OKLab, for full colour vision and for each of the three dichromacies (test_palette).
const PALETTE = ["#2c8686", "#ffc862", "#8f14dc", "#5ad6f5", "#c64f22", "#b07cf0", "#e58a00", "#3f4f9c", "#6cb8a6", "#8c2f3f"];
const RAMP = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
const RAMP_STEPS = 64;


const theme = () => document.documentElement.dataset.theme;
const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
const column = () => data.columns[view.column];

function nColours(col) {
  return col.values.length > PALETTE.length ? PALETTE.length - 1 : col.values.length;
}

// A row's colour number: a category's place in the palette or a step of the ramp; -1 for all others.
function colourOf(map, row) {
  const col = column();
  if (!col) return 0;
  const value = map.values[view.column][row];
  if (col.kind === "category") return value < nColours(col) ? value : -1;
  if (Number.isNaN(value)) return -1;
  const span = col.max - col.min || 1;
  return Math.round((RAMP_STEPS - 1) * (value - col.min) / span);
}

function paint(number) {
  if (number < 0) return themed("--other");
  const col = column();
  if (!col || col.kind === "category") return PALETTE[number];
  const at = number / (RAMP_STEPS - 1) * (RAMP.length - 1);
  const k = Math.min(Math.floor(at), RAMP.length - 2);
  return `rgb(${RAMP[k].map((c, i) => Math.round(c + (RAMP[k + 1][i] - c) * (at - k))).join(" ")})`;
}

function textOf(map, row, c) {
  const value = map.values[c][row];
  if (data.columns[c].kind === "category") return data.columns[c].values[value];
  return Number.isNaN(value) ? "missing" : String(Number(value.toPrecision(6)));
}

function fit(canvas, time) {
  const scale = Math.min(devicePixelRatio || 1, 2);
  const w = Math.max(1, canvas.clientWidth), h = Math.max(1, canvas.clientHeight);
  if (canvas.width !== Math.round(w * scale) || canvas.height !== Math.round(h * scale)) {
    canvas.width = Math.round(w * scale);
    canvas.height = Math.round(h * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, w, h);
  return { context, scale, ...project(w, h, time) };
}

const radius = (side, n) => Math.max(1.15, Math.min(side / 150, 0.13 * side / Math.sqrt(Math.max(1, n))));

// One small picture per colour and size, with a rim in the card's colour, so that dots that touch stay apart.
function sprite(number, r, scale) {
  const key = `${number}/${r}/${scale}`;
  let picture = sprites.get(key);
  if (!picture) {
    picture = document.createElement("canvas");
    const half = r + 1;
    picture.width = picture.height = Math.ceil(2 * half * scale);
    const context = picture.getContext("2d");
    context.scale(scale, scale);
    context.beginPath();
    context.arc(half, half, r + 0.6, 0, 7);
    context.fillStyle = themed("--card");
    if (r > 2) context.fill();
    context.beginPath();
    context.arc(half, half, r, 0, 7);
    context.fillStyle = paint(number);
    context.fill();
    sprites.set(key, picture);
  }
  return picture;
}

function drawDot(place, x, y, number, r, alpha) {
  const isDimmed = view.focus !== null && number !== view.focus;
  place.context.globalAlpha = isDimmed ? alpha * 0.1 : alpha;
  place.context.drawImage(sprite(number, r, place.scale), x - r - 1, y - r - 1, 2 * (r + 1), 2 * (r + 1));
}

function eachPoint(visit) {
  const { pair, part } = pairAt(view.time);
  const { a, b, rows } = pair;
  for (let n = 0; n < rows.length; n += 2) {
    const i = rows[n], j = rows[n + 1];
    const isNear = part < 0.5 ? i >= 0 : j < 0;
    const here = isNear ? a : b, row = isNear ? i : j;
    if (i >= 0 && j >= 0) {
      const x = a.places[2 * i] + (b.places[2 * j] - a.places[2 * i]) * part;
      const y = a.places[2 * i + 1] + (b.places[2 * j + 1] - a.places[2 * i + 1]) * part;
      visit(x, y, here, row, 1);
    } else {
      const alpha = i >= 0 ? 1 - part : part;
      if (alpha > 0.01) visit(here.places[2 * row], here.places[2 * row + 1], here, row, alpha);
    }
  }
}

function drawLarge() {
  const place = fit($("map"), view.time);
  const near = windows[Math.round(view.time)];
  const r = radius(place.side, near.entities.length);
  eachPoint((x, y, here, row, alpha) => drawDot(place, place.x(x), place.y(y), colourOf(here, row), r, 0.92 * alpha));
  place.context.globalAlpha = 1;
  drawNames(place);
  if (view.hover >= 0) drawTrail(place, r);
  const t = Math.floor(view.time + 1e-6), part = view.time - t;
  $("now").textContent = part < 0.02 || t >= last ? windows[Math.min(t, last)].label : `${windows[t].label} → ${windows[t + 1].label}`;
  $("count").textContent = `${near.nRows.toLocaleString("en")} rows`;
  $("time").value = view.time;
  $("time").setAttribute("aria-valuetext", near.label);
}

function drawTrail(place, r) {
  const steps = [];
  windows.forEach((map, t) => {
    const row = findRow(map, view.hover);
    if (row >= 0) steps.push([place.x(map.places[2 * row]), place.y(map.places[2 * row + 1]), t]);
  });
  const ink = themed("--ink");
  const { context } = place;
  context.strokeStyle = context.fillStyle = ink;
  context.lineWidth = 1.4;
  context.lineJoin = "round";
  context.globalAlpha = 0.75;
  context.beginPath();
  steps.forEach(([x, y], n) => (n ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.stroke();
  for (const [x, y, t] of steps) {
    context.globalAlpha = t <= view.time ? 0.9 : 0.45;
    context.beginPath();
    context.arc(x, y, 2.2, 0, 7);
    context.fill();
  }
  context.globalAlpha = 1;
  eachPoint((x, y, here, row) => {
    if (here.entities[row] !== view.hover) return;
    context.beginPath();
    context.arc(place.x(x), place.y(y), r + 2.5, 0, 7);
    context.lineWidth = 2;
    context.stroke();
  });
}

function drawSmall(cell) {
  const map = windows[cell.dataset.window];
  const place = fit(cell.querySelector("canvas"), Number(cell.dataset.window));
  const r = Math.max(0.9, radius(place.side, map.entities.length) * 0.9);
  for (let row = 0; row < map.entities.length; row++) {
    if (map.places[2 * row] === MISSING) continue;
    drawDot(place, place.x(map.places[2 * row]), place.y(map.places[2 * row + 1]), colourOf(map, row), r, 0.9);
  }
}

// Small maps draw when they come into sight, so a thousand windows cost no more than those that are seen.
const inSight = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) { inSight.add(target); drawSmall(target); } else inSight.delete(target);
  }
}, { rootMargin: "120px" });

let isPending = false;
function redraw(withSmall) {
  if (withSmall) { sprites.clear(); inSight.forEach(drawSmall); }
  if (isPending) return;
  isPending = true;
  requestAnimationFrame(() => { isPending = false; drawLarge(); });
}
