// The pointer on the large map: what lies under it, a click to follow, a drag to move or to lasso.
const REACH = 14, TIP_GAP = 16;

const placeIn = (pane) => project($(pane.id).clientWidth, $(pane.id).clientHeight, pane.time(), true);

function pointAt(px, py, pane) {
  const place = placeIn(pane);
  let best = null, least = REACH * REACH;
  pane.each((x, y, map, row, isLitRow) => {
    if (isDimming() && !isLitRow) return;
    const dx = place.x(x) - px, dy = place.y(y) - py, squared = dx * dx + dy * dy;
    if (squared < least) { least = squared; best = { map, row, px, py }; }
  });
  return (isLive && pointInTile(px, py, place, pane.time(), least)) || best;
}

function placeOf(event, pane) {
  const box = $(pane.id).getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function showTip(event, pane) {
  const found = view.mode === "points" ? pointAt(...placeOf(event, pane), pane) : null, tip = $("tip");
  // of a row that the sample lacks, what is known is asked for
  const isKnown = found && found.map, entity = isKnown ? found.map.entities[found.row] : -1;
  view.stray = isKnown ? null : found;
  if (entity !== view.hover) { view.hover = entity; redraw(); }
  tip.hidden = !found;
  $(pane.id).classList.toggle("is-over", found !== null);
  if (!found) return;
  tip.replaceChildren(...(isKnown ? [make("b", { text: names[entity] }), ...describe(found.map, found.row, true)] : [showRow(windows[found.t].index, found.row, { isPlain: true })]));
  const box = $(pane.id).getBoundingClientRect(), whole = $("panes").getBoundingClientRect();
  placeTip(tip, found.px + box.left - whole.left, found.py + box.top - whole.top);
}

// Beside the spot, right or left, wherever there is room; else below or above it: never over it.
function placeTip(tip, px, py) {
  tip.style.left = tip.style.top = "0px";
  const { clientWidth: w, clientHeight: h } = $("panes"), { offsetWidth: wide, offsetHeight: tall } = tip;
  const within = (at, size, room) => Math.max(2, Math.min(room - size - 2, at));
  const isBeside = px + TIP_GAP + wide <= w || px - TIP_GAP - wide >= 0;
  const beside = px + TIP_GAP + wide <= w ? px + TIP_GAP : px - TIP_GAP - wide, above = py + TIP_GAP + tall <= h ? py + TIP_GAP : py - TIP_GAP - tall;
  tip.style.left = `${isBeside ? beside : within(px - wide / 2, wide, w)}px`;
  tip.style.top = `${isBeside ? within(py - tall / 2, tall, h) : Math.max(0, above)}px`;
}

function describe(map, row, isPlain = false) {
  const known = windows.filter(({ isRead }) => isRead !== false), here = known.filter((one) => findRow(one, map.entities[row]) >= 0), moved = movesInto(map.t)[row];
  const lines = data.columns.map((column, c) => `${column.name}: ${textOf(map, row, c)}`);
  if (last > 0) lines.push(`in ${here.length} of ${known.length} windows${known.length < windows.length ? " read" : ""}${here.length > 1 ? `: ${here[0].label} to ${here.at(-1).label}` : ""}`);
  if (moved >= 0) lines.push(`moved ${figure(moved)} spreads into ${map.label}`);
  const shown = lines.map((text) => make("div", { text: shorten(text, 160) }));
  if (isLive && data.shown.length) return [showRow(map.index, map.rows[row], { isPlain, hasLabels: false }), ...shown];
  return hasDetails() ? [...listDetails(map, row, { isPlain, most: 200 }), ...shown] : shown;
}

function hideTip() {
  $("tip").hidden = true;
  view.stray = null;
  if (view.hover >= 0) { view.hover = -1; redraw(); }
}

function startPointer(pane) {
  const canvas = $(pane.id);
  const fingers = new Map();
  let start = null, isDragged = false;
  // Two fingers: closer or farther, around the middle between them.
  const pinch = (event) => {
    const [first, second] = [...fingers.values()], before = Math.hypot(first[0] - second[0], first[1] - second[1]);
    fingers.set(event.pointerId, placeOf(event, pane));
    const [p, q] = [...fingers.values()], after = Math.hypot(p[0] - q[0], p[1] - q[1]);
    if (before > 0 && after > 0) zoomBy(after / before, (p[0] + q[0]) / 2, (p[1] + q[1]) / 2);
  };
  for (const kind of ["pointerup", "pointercancel", "pointerleave"]) canvas.addEventListener(kind, (event) => fingers.delete(event.pointerId));
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    if (event.pointerType === "touch") fingers.set(event.pointerId, placeOf(event, pane));
    if (fingers.size === 2) { start = null; view.lasso = null; hideTip(); return; }
    start = placeOf(event, pane);
    isDragged = false;
    if (view.isLassoing || event.shiftKey) { view.lasso = [start]; view.lassoPane = pane; }
    if (view.lasso || view.zoom > 1) canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (fingers.size === 2 && fingers.has(event.pointerId)) { pinch(event); return; }
    const at = placeOf(event, pane);
    if (start && (isDragged || Math.hypot(at[0] - start[0], at[1] - start[1]) > 4)) {
      isDragged = true;
      hideTip();
      if (view.lasso) { view.lasso.push(at); redraw(); return; }
      if (view.zoom > 1) { panBy(event.movementX, event.movementY); return; }
    }
    showTip(event, pane);
  });
  canvas.addEventListener("pointerup", (event) => {
    if (view.lasso) closeLasso(isDragged);
    else if (start && !isDragged) {
      showTip(event, pane);
      if (view.stray) join(windows[view.stray.t].index, view.stray.row);
      else if (view.hover >= 0 || view.followed >= 0) follow(view.hover);
    }
    start = null;
  });
  canvas.addEventListener("pointercancel", () => { start = null; view.lasso = null; redraw(); });
  canvas.addEventListener("pointerleave", hideTip);
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY * 0.0022), ...placeOf(event, pane));
  }, { passive: false });
  canvas.addEventListener("dblclick", (event) => zoomBy(2, ...placeOf(event, pane)));
}
