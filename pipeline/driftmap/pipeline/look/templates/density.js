// How dense the maps are, and where mass came and went: grids of the plane, smoothed. A sampled page brings the counts of
// all rows; else they are counted here, of the visible labels.
const CELLS = 96;

function densityOf(t) {
  const map = windows[t], key = map.density ? "all" : colourKey;
  if (map.gridKey === key) return map.grid;
  const grid = new Float32Array(CELLS * CELLS);
  let total = 0;
  if (map.density) {
    map.density.forEach((n, cell) => { grid[cell] = n; total += n; });
  } else {
    const colours = coloursOf(t);
    const cell = (v) => Math.max(0, Math.min(CELLS - 1, Math.floor((v / data.steps + 1) / 2 * CELLS)));
    for (let row = 0; row < colours.length; row++) {
      if (colours[row] === HIDDEN) continue;
      grid[cell(map.places[2 * row + 1]) * CELLS + cell(map.places[2 * row])]++;
      total++;
    }
  }
  const smooth = blur(blur(grid));
  for (let k = 0; k < smooth.length; k++) smooth[k] /= total || 1;
  map.grid = smooth;
  map.gridKey = key;
  return smooth;
}

// Three cells wide, both ways.
function blur(grid) {
  const half = new Float32Array(grid.length), out = new Float32Array(grid.length);
  const at = (i) => Math.max(0, Math.min(CELLS - 1, i));
  for (let y = 0; y < CELLS; y++) for (let x = 0; x < CELLS; x++)
    half[y * CELLS + x] = (grid[y * CELLS + at(x - 1)] + 2 * grid[y * CELLS + x] + grid[y * CELLS + at(x + 1)]) / 4;
  for (let y = 0; y < CELLS; y++) for (let x = 0; x < CELLS; x++)
    out[y * CELLS + x] = (half[at(y - 1) * CELLS + x] + 2 * half[y * CELLS + x] + half[at(y + 1) * CELLS + x]) / 4;
  return out;
}

function mixedDensity() {
  const { pair, part } = pairAt(view.time);
  const a = densityOf(pair.a.t), b = densityOf(pair.b.t);
  return part === 0 ? a : a.map((value, k) => value + (b[k] - value) * part);
}

let densityCanvas = null;
function drawDensity(place, window = -1) {
  const now = window < 0 ? mixedDensity() : densityOf(window), isChange = view.mode === "change" && window < 0, base = isChange ? densityOf(sinceWindow()) : null;
  densityCanvas ??= make("canvas", { width: CELLS, height: CELLS });
  const context = densityCanvas.getContext("2d"), image = context.createImageData(CELLS, CELLS);
  const shown = isChange ? now.map((value, k) => value - base[k]) : now;
  let top = 1e-9;
  for (const grid of isChange ? [now, base] : [now]) for (const value of grid) if (value > top) top = value;
  const mass = rgbOf(themed("--mass")).slice(0, 3), less = rgbOf(themed("--less")).slice(0, 3), more = rgbOf(themed("--more")).slice(0, 3);
  for (let y = 0; y < CELLS; y++) {
    for (let x = 0; x < CELLS; x++) {
      const value = shown[y * CELLS + x], at = 4 * ((CELLS - 1 - y) * CELLS + x);
      image.data.set(!isChange ? mass : value < 0 ? less : more, at);
      image.data[at + 3] = 255 * Math.min(1, Math.sqrt(Math.abs(value) / top) * 1.05);
    }
  }
  context.putImageData(image, 0, 0);
  place.context.imageSmoothingEnabled = true;
  place.context.imageSmoothingQuality = "high";
  const x = place.x(-data.steps), y = place.y(data.steps), size = 2 * data.steps * place.unit;
  place.context.drawImage(densityCanvas, x, y, size, size);
}
