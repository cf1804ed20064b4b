// The page in a notebook (anywidget): in a frame of its own; what is looked at goes both ways (host.js).
const SHARED = ["window", "selection", "hover"];

function render({ model, el }) {
  const frame = document.createElement("iframe");
  let isHearing = false;
  frame.title = "Maps";
  frame.sandbox = "allow-scripts allow-downloads allow-popups allow-popups-to-escape-sandbox";
  frame.allow = "clipboard-write";
  Object.assign(frame.style, { width: "100%", height: `${model.get("height")}px`, border: "0" });
  frame.srcdoc = model.get("_page");
  const send = (names) => frame.contentWindow?.postMessage({ driftmap: Object.fromEntries(names.map((name) => [name, model.get(name)])) }, "*");
  const hear = ({ source, data }) => {
    if (source !== frame.contentWindow || !data?.driftmap) return;
    if (data.driftmap.isReady) { send(SHARED.filter((name) => model.get(name).length)); return; }
    isHearing = true;  // nothing goes back that the page said
    for (const name of SHARED) if (name in data.driftmap) model.set(name, data.driftmap[name]);
    isHearing = false;
    model.save_changes();
  };
  const senders = SHARED.map((name) => [`change:${name}`, () => { if (!isHearing) send([name]); }]);
  const resize = () => { frame.style.height = `${model.get("height")}px`; };
  for (const [event, sender] of senders) model.on(event, sender);
  model.on("change:height", resize);
  addEventListener("message", hear);
  el.append(frame);
  return () => {
    for (const [event, sender] of senders) model.off(event, sender);
    model.off("change:height", resize);
    removeEventListener("message", hear);
  };
}

export default { render };
