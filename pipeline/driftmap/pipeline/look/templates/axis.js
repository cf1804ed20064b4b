// Labels of windows under every axis of time: the first, the last, and of those between as many as stand free.
const LABEL_GAP = 14, LONGEST_LABEL = 18, AXIS_FONT = "12px system-ui, sans-serif";
const axes = new Map();

// The element of an axis of windows `first` to the last; `part` says where a window lies, from 0 to 1.
function makeAxis(first, part) {
  const axis = make("div", { className: "axis", ariaHidden: "true" });
  axes.set(axis, { first, part });
  return axis;
}

// Call when axes were added or the page's width changed.
function fitAxes() {
  for (const [axis, { first, part }] of axes) {
    if (!axis.isConnected) { axes.delete(axis); continue; }
    const width = axis.clientWidth;
    if (width > 0) axis.replaceChildren(...chooseTicks(first, part, width).map(({ t, left }) => {
      const tick = make("span", { text: tickLabel(t), title: windows[t].label });
      tick.style.left = `${left}px`;
      return tick;
    }));
  }
}

const tickLabel = (t) => shorten(windows[t].label, LONGEST_LABEL);
function tickWidth(t) {
  mixer.font = AXIS_FONT;
  return mixer.measureText(tickLabel(t)).width + 2;
}

// Every window, else every second, fifth ... that leaves a gap; the last one always.
function chooseTicks(first, part, width) {
  const leftOf = (t) => Math.max(0, Math.min(width - tickWidth(t), part(t) * width - tickWidth(t) / 2));
  const isFree = (a, b) => leftOf(a) + tickWidth(a) + LABEL_GAP <= leftOf(b);
  for (let scale = 1; ; scale *= 10) for (const stride of [1, 2, 5].map((n) => n * scale)) {
    const chosen = [];
    for (let t = first; t < last; t += stride) chosen.push(t);
    if (stride < last - first && !chosen.every((t, k) => k === 0 || isFree(chosen[k - 1], t))) continue;
    while (chosen.length && !isFree(chosen.at(-1), last)) chosen.pop();
    return [...chosen, last].map((t) => ({ t, left: leftOf(t) }));
  }
}
