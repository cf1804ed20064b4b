// Did it move, or did the map move? Rows of a step by how many of their neighbours in the data changed, and how far they
// moved on the map. A rectangle drawn over them, or a quarter's button, selects.
const QUARTERS = [["still", "Still", false, false], ["carried", "Carried along", false, true], ["company", "Other company on the spot", true, false], ["moved", "Moved", true, true]];
const LEAST_MOVED = 1 / 256, MOST_MOVED = 8, CHANGED = 0.5, QUARTER_EDGE = 26, MOST_DOTS = 20000;
let brush = null;

// Displacement from which a row moved: half a spread, or four times the noise floor of the step.
const movedFrom = (map) => Math.max(0.5, 4 * (map.noise_floor || 0));
const isKnown = (map, row, moves) => map.turnover[row] >= 0 && moves[row] >= 0;
const quarterOf = (map, row, moves) => (map.turnover[row] >= CHANGED ? 2 : 0) + (moves[row] >= movedFrom(map) ? 1 : 0);

function drawQuarters() {
  const map = windows[stepNow()], hasTurnover = map.turnover !== null;
  $("quarters").hidden = $("quarter-buttons").hidden = !hasTurnover;
  $("histogram").hidden = hasTurnover;
  $("histogram-title").textContent = hasTurnover ? "Did it move, or did the map move?" : "How far rows moved";
  if (!hasTurnover) { drawHistogram(); return; }
  const moves = movesInto(map.t), counts = [0, 0, 0, 0];
  for (let row = 0; row < moves.length; row++) if (isKnown(map, row, moves)) counts[quarterOf(map, row, moves)]++;
  $("quarter-buttons").replaceChildren(...QUARTERS.map(([kind, name], k) => {
    const button = make("button", { type: "button", className: "other", data: { kind }, disabled: counts[k] === 0 }, make("b", { textContent: count(counts[k]) }), make("span", { textContent: ` ${name.toLowerCase()}` }));
    button.addEventListener("click", () => selectWhere(map, (row) => quarterOf(map, row, moves) === k));
    return button;
  }));
  const total = counts.reduce((a, b) => a + b, 0);
  $("histogram-note").textContent = `${shorten(windows[map.t - 1].label, 40)} → ${shorten(map.label, 40)}: ${count(total)} rows in both. Across: share of nearest rows in the data that changed; up: how far it moved on the map, in spreads. Grey: no farther than rows whose neighbours stayed.`;
  drawQuarterDots(map, moves);
}

function placeInQuarters(w, h) {
  const low = Math.log(LEAST_MOVED), range = Math.log(MOST_MOVED) - low, inner = w - QUARTER_EDGE - 8, high = h - QUARTER_EDGE - 8;
  return {
    x: (turnover) => QUARTER_EDGE + inner * turnover,
    y: (moved) => 8 + high * (1 - (Math.log(Math.max(LEAST_MOVED, Math.min(MOST_MOVED, moved))) - low) / range),
  };
}

function drawQuarterDots(map, moves) {
  const canvas = $("quarters"), { context, w, h } = fit(canvas, map.t), { x, y } = placeInQuarters(w, h), colours = coloursOf(map.t);
  const stride = Math.max(1, Math.ceil(moves.length / MOST_DOTS)), floor = map.noise_floor || 0, midX = x(CHANGED), midY = y(movedFrom(map));
  context.font = "600 11px system-ui, sans-serif";
  context.strokeStyle = themed("--line");
  for (const [x1, y1, x2, y2] of [[midX, 8, midX, y(0)], [QUARTER_EDGE, midY, x(1), midY]]) { context.beginPath(); context.moveTo(x1, y1); context.lineTo(x2, y2); context.stroke(); }
  for (let row = 0; row < moves.length; row += stride) {
    if (!isKnown(map, row, moves) || colours[row] === HIDDEN) continue;
    context.globalAlpha = isDimming() && !isLitEntity(map, row) ? 0.12 : 0.75;
    context.fillStyle = moves[row] <= floor ? themed("--other") : paint(colours[row]);
    // rows of equal turnover do not lie on one line
    context.fillRect(x(map.turnover[row]) - 1.5 + ((map.entities[row] * 0.618) % 1 - 0.5) * 5, y(moves[row]) - 1.5, 3, 3);
  }
  context.globalAlpha = 1;
  context.fillStyle = themed("--soft");
  Object.assign(context, { strokeStyle: themed("--card"), lineWidth: 4, lineJoin: "round" });
  for (const [, name, isChanged, isMoved] of QUARTERS) {
    context.textAlign = isChanged ? "right" : "left";
    const at = [isChanged ? x(1) - 2 : QUARTER_EDGE + 4, isMoved ? 20 : y(0) - 6];
    context.strokeText(name, ...at);  // rows may lie beneath
    context.fillText(name, ...at);
  }
  context.lineWidth = 1;
  context.font = "11px system-ui, sans-serif";
  context.textAlign = "center";
  for (const share of [0, 0.5, 1]) context.fillText(`${100 * share}%`, Math.min(w - 14, x(share)), h - 4);
  context.textAlign = "right";
  for (const [moved, text] of [[1 / 64, "1/64"], [1 / 8, "1/8"], [1, "1"]]) context.fillText(text, QUARTER_EDGE - 3, y(moved) + 4);
  if (brush) {
    context.strokeStyle = themed("--accent");
    context.strokeRect(brush[0], brush[1], brush[2] - brush[0], brush[3] - brush[1]);
  }
}

function selectWhere(map, isIn) {
  const chosen = new Uint8Array(names.length), moves = movesInto(map.t);
  for (let row = 0; row < moves.length; row++) if (isKnown(map, row, moves) && isIn(row)) chosen[map.entities[row]] = 1;
  select(chosen);
  drawQuarterDots(map, moves);
}

function startQuarters() {
  const canvas = $("quarters"), placed = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  const again = () => { const map = windows[stepNow()]; drawQuarterDots(map, movesInto(map.t)); };
  canvas.addEventListener("pointerdown", (event) => { brush = [...placed(event), ...placed(event)]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => { if (brush) { [brush[2], brush[3]] = placed(event); again(); } });
  canvas.addEventListener("pointercancel", () => { brush = null; again(); });
  canvas.addEventListener("pointerup", () => {
    if (!brush) return;
    const [x1, x2] = [brush[0], brush[2]].sort((a, b) => a - b), [y1, y2] = [brush[1], brush[3]].sort((a, b) => a - b);
    brush = null;
    const map = windows[stepNow()], moves = movesInto(map.t), { x, y } = placeInQuarters(canvas.clientWidth, canvas.clientHeight);
    if (x2 - x1 < 4 && y2 - y1 < 4) { select(null); again(); return; }
    selectWhere(map, (row) => x(map.turnover[row]) >= x1 && x(map.turnover[row]) <= x2 && y(moves[row]) >= y1 && y(moves[row]) <= y2);
  });
}
