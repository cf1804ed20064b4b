// The colour of every row: a place in the palette, a step of a ramp, or none.
// Of each theme any two differ by at least 0.1 in OKLab, for full colour vision and for each of the three dichromacies,
// and each stands out from its page by 3:1 (test_palette). A label keeps roughly its hue from light to dark.
const PALETTES = {
  light: ["#006590", "#fe4116", "#c860e7", "#099a4b", "#694f01", "#7f37d4", "#b00c66", "#0000a8", "#6a0009", "#4b166a"],
  dark: ["#70fffe", "#ad4b02", "#cc7ed1", "#7fb38d", "#e3ff1b", "#b4c3ff", "#ff5f27", "#0079ff", "#ffcb95", "#9843b9"],
};
const N_COLOURS = PALETTES.light.length;
const paletteColour = (number) => PALETTES[theme()][number];
// Lightness rises or falls throughout, so ramps read without colour; every step stands out from the page by 3:1.
const RAMPS = {
  light: { number: [[68, 1, 84], [59, 82, 139], [20, 116, 134], [46, 140, 70], [142, 142, 0]], moved: [[176, 126, 0], [200, 84, 20], [176, 36, 48], [76, 6, 52]] },
  dark: { number: [[116, 84, 212], [70, 128, 210], [38, 160, 150], [122, 209, 81], [253, 231, 37]], moved: [[140, 88, 220], [208, 86, 130], [244, 140, 70], [255, 236, 170]] },
};
const RAMP_STEPS = 64;
const OTHER = -1, HIDDEN = -2;
const colourings = [];
let colourKey = 0;

function makeColourings() {
  data.columns.forEach((column, c) => colourings.push({ ...column, c }));
  if (last > 0) colourings.push({ name: "how far it moved", kind: "moved", top: findTopMove() });
  if (windows.some((map) => map.turnover)) colourings.push({ name: "neighbours changed", kind: "moved", top: 1, of: turnoverInto });
  if (!data.columns.length) colourings.unshift({ name: "nothing", kind: "plain" });
  view.colouring = colourings[0];
}

// Share of each row's nearest rows in the data that changed; NaN where it is not known.
const turnoverInto = (t) => windows[t].turnover || new Float32Array(windows[t].entities.length).fill(NaN);

// Nearly all moves lie below it, so a few jumps do not wash out the scale.
function findTopMove() {
  const some = [];
  for (let t = 1; t <= last; t++) {
    const moves = movesInto(t), stride = Math.max(1, Math.floor(moves.length / 400));
    for (let row = 0; row < moves.length; row += stride) if (moves[row] >= 0) some.push(moves[row]);
  }
  some.sort((a, b) => a - b);
  return some[Math.floor(some.length * 0.98)] || 1;
}

const isRamp = () => view.colouring.kind === "number" || view.colouring.kind === "moved";
const isVisible = (code) => !view.hidden.has(code);

// Of more labels than colours, the most frequent have one; or the visible ones, when few are left.
function paletteOf(code) {
  const { values } = view.colouring;
  if (values.length <= N_COLOURS) return code;
  if (values.length - view.hidden.size <= N_COLOURS) {
    let rank = 0;
    for (let other = 0; other < code; other++) if (isVisible(other)) rank++;
    return rank;
  }
  return code < N_COLOURS ? code : OTHER;
}

function rangeOf(colouring) {
  if (colouring.kind === "moved") return [0, colouring.top];
  if (colouring.range) return colouring.range;
  if (!colouring.high) {
    let top = 1;
    for (const map of windows) for (const code of map.values[colouring.c]) if (code > top) top = code;
    colouring.high = colouring.low + top * colouring.step;
  }
  return [colouring.low, colouring.high];
}

// Call when the colouring or the visible labels changed.
function recolour() {
  colourKey++;
  drawRiver();
  redraw(true);
}

// Colours of the rows of window t, made once for each colouring and set of visible labels.
function coloursOf(t) {
  const map = windows[t], { colouring } = view;
  if (map.colourKey === colourKey) return map.colours;
  const out = new Float32Array(map.entities.length);
  if (colouring.kind === "category") {
    const table = Int32Array.from(colouring.values, (_, code) => (isVisible(code) ? paletteOf(code) : HIDDEN));
    for (let row = 0; row < out.length; row++) out[row] = table[map.values[colouring.c][row]];
  } else if (isRamp()) {
    const [low, high] = rangeOf(colouring), moves = colouring.kind === "moved" ? (colouring.of || movesInto)(t) : null;
    for (let row = 0; row < out.length; row++) {
      const code = moves ? moves[row] : map.values[colouring.c][row];
      const value = moves ? code : colouring.low + code * colouring.step;
      const part = (value - low) / (high - low || 1);
      out[row] = code >= 0 ? (RAMP_STEPS - 1) * Math.max(0, Math.min(1, part)) : OTHER;
    }
  }
  map.colours = out;
  map.colourKey = colourKey;
  return out;
}

function paint(number) {
  if (number < 0) return themed("--other");
  if (!isRamp()) return paletteColour(Math.round(number));
  const ramp = RAMPS[theme()][view.colouring.kind];
  const at = Math.min(number / (RAMP_STEPS - 1), 1) * (ramp.length - 1), k = Math.min(Math.floor(at), ramp.length - 2);
  return `rgb(${ramp[k].map((c, i) => Math.round(c + (ramp[k + 1][i] - c) * (at - k))).join(" ")})`;
}

// How a part of the "moved" ramp looks, for charts.
function paintMoved(part) {
  const ramp = RAMPS[theme()].moved, at = Math.max(0, Math.min(1, part)) * (ramp.length - 1);
  const k = Math.min(Math.floor(at), ramp.length - 2);
  return `rgb(${ramp[k].map((c, i) => Math.round(c + (ramp[k + 1][i] - c) * (at - k))).join(" ")})`;
}

function textOf(map, row, c) {
  const column = data.columns[c], code = map.values[c][row];
  if (column.kind === "category") return column.values[code];
  return code < 0 ? "missing" : String(Number((column.low + code * column.step).toPrecision(6)));
}

const codeOf = (map, row) => (view.colouring.kind === "category" ? map.values[view.colouring.c][row] : null);
