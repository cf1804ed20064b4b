// Start, and what concerns the whole page: views, keys, theme.
function setMode(mode) {
  view.mode = mode;
  for (const button of $("modes").children) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  $("ramp-change").hidden = mode !== "change";
  $("trails-box").classList.toggle("is-idle", mode !== "points");
  hideTip();
  redraw();
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  drawLegend();
  recolour();
  drawChanges();
}

// The newest window that will not move again and has one before it, so that the page begins where it says what changed.
function windowToOpen() {
  for (let t = last; t >= 0; t--) if (windows[t].status === "final") return Math.max(t, Math.min(1, last));
  return last;
}

function unzoom() {
  view.zoom = 1;
  view.panX = view.panY = 0;
  $("unzoom").classList.add("is-idle");
  redraw();
}

function letGo() {
  setLassoing(false);
  if (view.followed >= 0) follow(-1);
  else if (view.selected) select(null);
  else if (view.hidden.size) hideAllBut(null);
  else unzoom();
}

const KEYS = {
  " ": () => setPlaying(!view.isPlaying), ArrowRight: () => stepBy(1), ArrowLeft: () => stepBy(-1), Home: () => { setPlaying(false); goTo(0); }, End: () => { setPlaying(false); goTo(last); },
  1: () => setMode("points"), 2: () => setMode("density"), 3: () => { if (last > 0) setMode("change"); },
  "/": () => $("search").focus(), l: () => setLassoing(!view.isLassoing), t: () => $("trails").click(), n: () => $("names").click(),
  d: () => $("theme").click(), "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5), 0: unzoom, f: fitWindow, Escape: letGo, "?": () => $("help").showModal(),
};

function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
    const { target } = event, isTyping = target.matches("input[type=search], select");
    const isPressing = event.key === " " && target.matches("button, input, summary");
    const isSlider = target.matches("input[type=range]") && ["Home", "End"].includes(event.key);
    if (isTyping || isPressing || isSlider || !KEYS[event.key]) return;
    event.preventDefault();
    KEYS[event.key]();
  });
}

function startTools() {
  for (const button of $("modes").children) button.addEventListener("click", () => setMode(button.dataset.mode));
  $("names").addEventListener("change", () => { view.hasNames = $("names").checked; redraw(); });
  $("trails").addEventListener("change", () => { view.hasTrails = $("trails").checked; redraw(); });
  $("centre-box").hidden = !isWandering;
  $("centre").addEventListener("change", () => { view.isCentred = $("centre").checked; redraw(true); });
  $("lasso").addEventListener("click", () => setLassoing(!view.isLassoing));
  $("closer").addEventListener("click", () => zoomBy(1.6));
  $("unzoom").addEventListener("click", unzoom);
  $("fit").addEventListener("click", fitWindow);
  $("unfollow").addEventListener("click", () => follow(-1));
  $("unselect").addEventListener("click", () => select(null));
  $("movers-of").addEventListener("change", drawMovers);
  $("show-help").addEventListener("click", () => $("help").showModal());
  $("theme").addEventListener("click", () => setTheme(theme() === "dark" ? "light" : "dark"));
  const sizes = new ResizeObserver(() => { sizeThumbnails(); fitAxes(); redraw(true); });
  sizes.observe($("map"));
  sizes.observe($("since-map"));
  sizes.observe($("grid"));
  sizes.observe($("heat"));
}

const NO_GL = "This browser offers no WebGL 2, so the large map stands still between windows; everything else works.";
function showNotices(hasGl) {
  const notices = [];
  if (!hasGl) notices.push(NO_GL);
  if (data.entities.length < data.n_entities) {
    notices.push(`A sample: ${count(data.entities.length)} of ${count(data.n_entities)} ids are drawn, the same share of every label. Densities, drift, movers, events and the table are of all rows.`);
  }
  $("notices").replaceChildren(...notices.map((text) => make("p", { text })));
}

async function openFile() {
  const { header, read } = await readData();
  data = header;
  ({ names, all: windows, answers } = decodeRun(header, read));
  last = windows.length - 1;
}

async function start() {
  document.documentElement.dataset.theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  for (const cell of document.querySelectorAll("td.figure")) {
    cell.style.setProperty("--part", `${Math.max(0, Math.min(1, Number(cell.dataset.value))) * 100}%`);
  }
  if (typeof DecompressionStream !== "function") {
    $("notices").replaceChildren(make("p", { text: "This browser is too old to unpack the maps; any of 2023 or later can. The table below has the figures." }));
    return;
  }
  if (isLive) await openLive(); else await openFile();
  document.documentElement.toggleAttribute("data-one-window", last === 0);
  if (isLive) frameLive(); else makeFrames();
  makeColourings();
  showNotices(startGl());
  makeColourSelect();
  drawLegend();
  makeThumbnails();
  makeStrip();
  drawRiver();
  startTransport();
  startTools();
  for (const pane of Object.values(PANES)) startPointer(pane);
  startCompare();
  startQuarters();
  startSearch();
  startSave();
  startKeys();
  drawChanges();
  goTo(windowToOpen());
  startAddress();
  startHost();
  if (isLive) startLive();
  if (hasDetails()) unpackDetails().then(drawFollowed);
  requestAnimationFrame(() => { document.documentElement.dataset.ready = windows.length; });
}

start();
