// What the colours mean; labels are hidden, and looked at alone, from here.
const MANY_LABELS = 14;

function makeColourSelect() {
  colourings.forEach((one, k) => $("by").append(make("option", { value: String(k), text: one.name })));
  $("by").disabled = colourings.length < 2;
  $("by").addEventListener("change", () => {
    view.colouring = colourings[Number($("by").value)];
    view.hidden = new Set();
    view.focus = null;
    drawLegend();
    recolour();
    drawChanges();
  });
  $("legend-filter").addEventListener("input", filterLegend);
  $("show-all").addEventListener("click", () => hideAllBut(null));
}

function drawLegend() {
  const { colouring } = view, isCategory = colouring.kind === "category";
  $("names-box").classList.toggle("is-idle", !isCategory);
  $("legend-filter").hidden = !isCategory || colouring.values.length <= MANY_LABELS;
  $("legend-filter").value = "";
  $("legend").replaceChildren(...(isCategory ? colouring.values.map(makeChip) : isRamp() ? [makeRampBar()] : []));
  $("legend-note").hidden = !isCategory || colouring.values.length <= N_COLOURS;
  if (isCategory) {
    $("legend-note").textContent = `Of ${count(colouring.values.length)} labels, the ${N_COLOURS} most frequent have colours; hide some, and others get them.`;
  }
  markChips();
}

// A chip hides its label; the small button beside it leaves only that label.
function makeChip(text, code) {
  const toggle = make("button", { type: "button", className: "toggle", title: text }, make("span", { className: "dot" }), make("span", { className: "name", text }));
  const only = make("button", { type: "button", className: "only", textContent: "only", ariaLabel: `Only ${text}` });
  const chip = make("div", { className: "chip", data: { code } }, toggle, only);
  toggle.addEventListener("click", () => { if (view.hidden.has(code)) view.hidden.delete(code); else view.hidden.add(code); hideChanged(); });
  toggle.addEventListener("dblclick", () => hideAllBut(code));
  only.addEventListener("click", () => hideAllBut(code));
  chip.addEventListener("pointerenter", (event) => { if (event.pointerType === "mouse") focusOn(code); });
  chip.addEventListener("pointerleave", () => focusOn(null));
  return chip;
}

function hideAllBut(code) {
  const n = view.colouring.values.length, isAlone = code !== null && view.hidden.size === n - 1 && isVisible(code);
  view.hidden = new Set(code === null || isAlone ? [] : Array.from({ length: n }, (_, k) => k).filter((k) => k !== code));
  hideChanged();
}

function hideChanged() {
  view.focus = null;
  markChips();
  recolour();
}

function markChips() {
  $("show-all").hidden = view.hidden.size === 0;
  for (const chip of $("legend").querySelectorAll(".chip")) {
    const code = Number(chip.dataset.code), number = paletteOf(code);
    chip.querySelector(".toggle").setAttribute("aria-pressed", String(isVisible(code)));
    chip.querySelector(".dot").style.background = number < 0 ? "var(--other)" : paletteColour(number);
  }
}

function filterLegend() {
  const wanted = $("legend-filter").value.trim().toLowerCase();
  for (const chip of $("legend").children) chip.hidden = !view.colouring.values[Number(chip.dataset.code)].toLowerCase().includes(wanted);
}

function focusOn(code) {
  const focus = code !== null && isVisible(code) ? code : null;
  if (focus === view.focus) return;
  view.focus = focus;
  for (const part of document.querySelectorAll(".river [data-code]")) part.classList.toggle("dim", focus !== null && Number(part.dataset.code) !== focus);
  relight();
  inSight.forEach(drawSmall);
}

function makeRampBar() {
  const [low, high] = rangeOf(view.colouring), canvas = make("canvas", { width: RAMP_STEPS, height: 1 });
  for (let k = 0; k < RAMP_STEPS; k++) {
    canvas.getContext("2d").fillStyle = paint(k);
    canvas.getContext("2d").fillRect(k, 0, 1, 1);
  }
  const isMoved = view.colouring.kind === "moved" && !view.colouring.of, show = (v) => String(Number(v.toPrecision(4)));
  return make("div", { className: "ramp" }, make("span", { text: show(low) }), canvas, make("span", { text: isMoved ? `${show(high)} spreads` : show(high) }));
}
