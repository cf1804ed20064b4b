// What part of the plane a map shows. Windows share one frame, unless their maps wander in time: then the frame
// follows them, slowly, so that single windows do not shift it.
const SMOOTHED_WINDOWS = 6;
const own = windows.map((map) => extent([map]));
const middles = own.map((_, t) => {
  const near = own.slice(Math.max(0, t - SMOOTHED_WINDOWS), t + SMOOTHED_WINDOWS + 1);
  const mean = (axis) => near.reduce((sum, frame) => sum + frame[axis], 0) / near.length;
  return { cx: mean("cx"), cy: mean("cy") };
});
const whole = extent(windows);
const followed = Math.max(...own.map((frame, t) =>
  frame.half + Math.max(Math.abs(frame.cx - middles[t].cx), Math.abs(frame.cy - middles[t].cy))));
const isWandering = followed * 1.4 < whole.half;
view.isFollowing = isWandering;

function frameAt(time) {
  if (!view.isFollowing) return whole;
  const t = Math.min(Math.floor(time), last), part = time - t;
  const a = middles[t], b = middles[Math.min(t + 1, last)];
  return { cx: a.cx + (b.cx - a.cx) * part, cy: a.cy + (b.cy - a.cy) * part, half: followed };
}

function project(w, h, time) {
  const { cx, cy, half } = frameAt(time);
  const side = Math.min(w, h), zoom = (side * 0.455 - 2) / half;
  return { side, x: (v) => w / 2 + (v - cx) * zoom, y: (v) => h / 2 - (v - cy) * zoom };
}
