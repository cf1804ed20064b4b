// Inside a notebook's widget (widget.js): the window, the selected rows and the id under the pointer are sent to the
// notebook, and taken from it. Only a page that a widget made speaks, and only to what holds it.
const isHosted = location.href.startsWith("about:srcdoc") && parent !== window;
const sent = { window: "", selected: null, hover: "" };
let isHostHeard = false;

// Call after anything was drawn.
function sendToHost() {
  if (!isHosted || !isHostHeard || view.isPlaying) return;
  const now = { window: nearest().label, hover: view.hover >= 0 ? names[view.hover] : "" }, news = {};
  for (const name of ["window", "hover"]) if (now[name] !== sent[name]) news[name] = sent[name] = now[name];
  if (view.selected !== sent.selected) {
    sent.selected = view.selected;
    news.selection = view.selected ? names.filter((_, entity) => view.selected[entity]) : [];
  }
  if (Object.keys(news).length) parent.postMessage({ driftmap: news }, "*");
}

function hearHost({ source, data: { driftmap: asked } = {} }) {
  if (source !== parent || !asked) return;
  const t = asked.window === undefined ? -1 : findLabel(asked.window);
  if (t >= 0) { setPlaying(false); sent.window = asked.window; goTo(t); }
  if (asked.selection) {
    const wanted = new Set(asked.selection), chosen = Uint8Array.from(names, (name) => Number(wanted.has(name)));
    select(chosen.some(Boolean) ? chosen : null);
    sent.selected = view.selected;
  }
  if (asked.hover !== undefined) {
    view.hover = names.indexOf(asked.hover);
    sent.hover = view.hover >= 0 ? asked.hover : "";
  }
  isHostHeard = true;
  redraw();
}

function startHost() {
  if (!isHosted) return;
  addEventListener("message", hearHost);
  parent.postMessage({ driftmap: { isReady: true } }, "*");
}
