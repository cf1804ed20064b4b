// What part of the plane a map shows. Windows share one frame, unless their maps wander in time: then the frame
// follows them, slowly, so that single windows do not shift it. A few rows far away do not make all others small:
// they lie outside the frame, arrows at its edge point to them, and zooming out shows them.
const SMOOTHED_WINDOWS = 6;
const MAX_ZOOM = 64;
const OUTSIDE = 0.005, FRAME_MARGIN = 1.06, MIN_GAIN = 1.25, ROWS_FRAMED = 200000;
let own, middles, whole, followed, isWandering, minZoom = 1;

function boxOf(x0, x1, y0, y1) {
  return x0 <= x1 ? { cx: (x0 + x1) / 2, cy: (y0 + y1) / 2, half: Math.max(1, x1 - x0, y1 - y0) / 2 } : { cx: 0, cy: 0, half: 1 };
}

function extent(all) {
  let x0 = Infinity, x1 = -Infinity, y0 = Infinity, y1 = -Infinity;
  for (const { places } of all) {
    for (let i = 0; i < places.length; i += 2) {
      x0 = Math.min(x0, places[i]); x1 = Math.max(x1, places[i]);
      y0 = Math.min(y0, places[i + 1]); y1 = Math.max(y1, places[i + 1]);
    }
  }
  return boxOf(x0, x1, y0, y1);
}

// The extent of all but the outermost rows, where that is much smaller; else of all.
function robustExtent(all) {
  const everything = extent(all), n = all.reduce((sum, { places }) => sum + places.length / 2, 0);
  if (n * OUTSIDE / 2 < 1) return everything;
  const stride = Math.max(1, Math.ceil(n / ROWS_FRAMED)), axes = [[], []];
  let row = 0;
  for (const { places } of all) {
    for (let i = 0; i < places.length; i += 2, row++) if (row % stride === 0) { axes[0].push(places[i]); axes[1].push(places[i + 1]); }
  }
  const [x, y] = axes.map((values) => Float32Array.from(values).sort());
  const at = (sorted, part) => sorted[Math.round((sorted.length - 1) * part)];
  const most = boxOf(at(x, OUTSIDE / 2), at(x, 1 - OUTSIDE / 2), at(y, OUTSIDE / 2), at(y, 1 - OUTSIDE / 2));
  const framed = { ...most, half: most.half * FRAME_MARGIN };
  return framed.half * MIN_GAIN <= everything.half ? framed : everything;
}

function makeFrames(framed = windows) {
  own = framed.map((map) => robustExtent([map]));
  middles = own.map((_, t) => {
    const near = own.slice(Math.max(0, t - SMOOTHED_WINDOWS), t + SMOOTHED_WINDOWS + 1);
    const mean = (axis) => near.reduce((sum, frame) => sum + frame[axis], 0) / near.length;
    return { cx: mean("cx"), cy: mean("cy") };
  });
  whole = robustExtent(framed);
  followed = Math.max(...own.map((frame, t) =>
    frame.half + Math.max(Math.abs(frame.cx - middles[t].cx), Math.abs(frame.cy - middles[t].cy))));
  isWandering = followed * 1.4 < whole.half;
  view.isCentred = isWandering;
  const everything = extent(framed), frame = isWandering ? followed : whole.half;
  const far = Math.max(Math.abs(everything.cx - whole.cx), Math.abs(everything.cy - whole.cy)) + everything.half;
  minZoom = Math.min(1, frame / far);
}

// The large map shows just the window at hand; the next one is shown in the same frame.
function fitWindow() {
  const map = nearest(), { cx, cy, half } = extent([map]), frame = frameAt(view.time);
  view.zoom = Math.max(minZoom, Math.min(MAX_ZOOM, frame.half / half));
  view.panX = cx - frame.cx;
  view.panY = cy - frame.cy;
  $("unzoom").classList.remove("is-idle");
  redraw();
}

function frameAt(time) {
  if (!view.isCentred) return whole;
  const t = Math.min(Math.floor(time), last), part = time - t;
  const a = middles[t], b = middles[Math.min(t + 1, last)];
  return { cx: a.cx + (b.cx - a.cx) * part, cy: a.cy + (b.cy - a.cy) * part, half: followed };
}

// From the plane to pixels, and back. Small maps take no part in zoom and pan.
function project(w, h, time, isLarge = false) {
  const { cx, cy, half } = frameAt(time);
  const zoom = isLarge ? view.zoom : 1, x0 = cx + (isLarge ? view.panX : 0), y0 = cy + (isLarge ? view.panY : 0);
  const side = Math.min(w, h), unit = (side * 0.465 - 2) / half * zoom;
  return {
    side, unit, x0, y0, w, h,
    x: (v) => w / 2 + (v - x0) * unit, y: (v) => h / 2 - (v - y0) * unit,
    backX: (px) => (px - w / 2) / unit + x0, backY: (py) => (h / 2 - py) / unit + y0,
  };
}

function zoomBy(factor, px, py) {
  const canvas = $("map"), before = project(canvas.clientWidth, canvas.clientHeight, view.time, true);
  const x = before.backX(px ?? before.w / 2), y = before.backY(py ?? before.h / 2);
  view.zoom = Math.max(minZoom, Math.min(MAX_ZOOM, view.zoom * factor));
  if (Math.abs(view.zoom - 1) < 0.02) view.zoom = 1;
  const after = project(before.w, before.h, view.time, true);
  view.panX += x - after.backX(px ?? before.w / 2);
  view.panY += y - after.backY(py ?? before.h / 2);
  if (view.zoom === 1) view.panX = view.panY = 0;
  $("unzoom").classList.toggle("is-idle", view.zoom === 1);
  redraw();
}

function panBy(dx, dy) {
  const { unit } = project($("map").clientWidth, $("map").clientHeight, view.time, true);
  view.panX -= dx / unit;
  view.panY += dy / unit;
  redraw();
}
