// Small maps of all windows. They draw when they come into sight, so a thousand windows cost no more than those seen.
const DOTS = 4000;
const sprites = new Map();
const inSight = new Set();
let watcher = null;

function makeThumbnails() {
  watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) { inSight.add(target); drawSmall(target); if (isLive) askForWindows(); } else inSight.delete(target);
    }
  }, { rootMargin: "120px" });
  windows.forEach((map, t) => {
    const about = `${map.label} · ${count(map.n_rows)} rows · ${map.status}`;
    const cell = make("button", { type: "button", className: `cell ${map.status}`, title: about, data: { window: t } },
      make("canvas"), make("span", { text: map.label }));
    cell.addEventListener("click", () => { setPlaying(false); goTo(t); });
    $("grid").append(cell);
    watcher.observe(cell);
  });
}

function drawSmall(cell) {
  const t = Number(cell.dataset.window), place = fit(cell.querySelector("canvas"), t);
  drawStill(place, windows[t], Math.max(0.9, radius(place.side, windows[t].entities.length) * 0.9));
}

// One window, without a graphics card: discs while they are few, else single pixels.
function drawStill(place, map, r, colours = coloursOf(map.t)) {
  const dim = isDimming();
  if (map.entities.length > DOTS) { drawPixels(place, map, colours, dim); return; }
  for (let row = 0; row < colours.length; row++) {
    if (colours[row] === HIDDEN) continue;
    place.context.globalAlpha = dim && !isLitEntity(map, row) ? 0.09 : 0.9;
    const x = place.x(map.places[2 * row]), y = place.y(map.places[2 * row + 1]);
    place.context.drawImage(sprite(Math.round(colours[row]), r, place.scale), x - r - 1, y - r - 1, 2 * (r + 1), 2 * (r + 1));
  }
  place.context.globalAlpha = 1;
}

function sprite(number, r, scale) {
  const key = `${theme()}/${view.colouring.kind}/${number}/${r}/${scale}`;
  let picture = sprites.get(key);
  if (!picture) {
    const half = r + 1, side = Math.ceil(2 * half * scale);
    picture = make("canvas", { width: side, height: side });
    const context = picture.getContext("2d");
    context.scale(scale, scale);
    for (const [size, colour] of [[r > 2 ? r + 0.6 : 0, themed("--card")], [r, paint(number)]]) {
      context.beginPath();
      context.arc(half, half, size, 0, 7);
      context.fillStyle = colour;
      context.fill();
    }
    sprites.set(key, picture);
  }
  return picture;
}

function drawPixels(place, map, colours, dim) {
  const { canvas } = place.context, { width, height } = canvas, image = place.context.createImageData(width, height);
  const table = Array.from({ length: isRamp() ? RAMP_STEPS : N_COLOURS }, (_, k) => rgbOf(paint(k)).slice(0, 3));
  const other = rgbOf(themed("--other")).slice(0, 3);
  for (let row = 0; row < colours.length; row++) {
    if (colours[row] === HIDDEN || (dim && !isLitEntity(map, row))) continue;
    const x = Math.round(place.x(map.places[2 * row]) * place.scale), y = Math.round(place.y(map.places[2 * row + 1]) * place.scale);
    if (x < 0 || y < 0 || x >= width || y >= height) continue;
    const at = 4 * (y * width + x);
    image.data.set(colours[row] < 0 ? other : table[Math.round(colours[row])], at);
    image.data[at + 3] = 255;
  }
  place.context.putImageData(image, 0, 0);
}

// As large as the small maps can be with all of them in sight; where they do not fit, the panel scrolls.
function sizeThumbnails() {
  const grid = $("grid"), gap = 8, caption = 24;
  const w = grid.clientWidth - 4, h = grid.clientHeight - 4;
  let size = 190;
  while (size > 92) {
    const columns = Math.max(1, Math.floor((w + gap) / (size + gap))), rows = Math.ceil(windows.length / columns);
    if (rows * ((w + gap) / columns - gap + caption + gap) <= h + gap) break;
    size -= 4;
  }
  grid.style.setProperty("--cell", `${size}px`);
}

// Scrolls the panel only, never the page.
function markThumbnail(t) {
  const grid = $("grid");
  for (const cell of grid.children) cell.setAttribute("aria-current", String(Number(cell.dataset.window) === t));
  const cell = grid.children[t], below = cell.offsetTop + cell.offsetHeight - grid.clientHeight;
  if (cell.offsetTop < grid.scrollTop) grid.scrollTop = cell.offsetTop;
  if (below > grid.scrollTop) grid.scrollTop = below;
}
