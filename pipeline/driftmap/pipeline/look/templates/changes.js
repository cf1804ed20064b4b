// What changed, in words: who moved most against their neighbours, and what befell the labels.
const MOST_MOVERS = 24;
const EVENTS = {
  birth: ["●", "appears"], return: ["↺", "comes back"], death: ["○", "last seen before"],
  split: ["↔", "splits"], merge: ["⇄", "comes together"], turn: ["→", "becomes"],
};

function drawMovers() {
  if (last === 0) return;
  const isStep = $("movers-of").value === "step", map = windows[stepNow()];
  if (isLive) askForMovers(map.t);
  const all = isStep ? map.movers : windows.flatMap((one) => one.movers);
  const top = [...all].sort((a, b) => b.own - a.own).slice(0, isStep ? all.length : MOST_MOVERS), c = chartColumn();
  $("movers-label").textContent = c >= 0 ? data.columns[c].name : "";
  $("movers").replaceChildren(...top.map((move) => {
    const into = windows[move.t], row = findRow(into, move.entity), bar = make("td", { className: "meter", textContent: figure(move.own) });
    bar.style.setProperty("--part", `${100 * move.own / top[0].own}%`);
    const name = make("button", { type: "button", text: shorten(names[move.entity], 60), title: names[move.entity] });
    name.addEventListener("click", () => { setPlaying(false); goTo(move.t); follow(move.entity); $("map").scrollIntoView({ block: "nearest" }); });
    const isStill = into.noise_floor !== null && move.distance <= into.noise_floor;
    return make("tr", isStill ? { className: "still", title: "no farther than rows whose neighbours stayed" } : {}, make("th", { scope: "row" }, name), make("td", { text: c >= 0 && row >= 0 ? shorten(textOf(into, row, c), 30) : "" }),
      make("td", { text: shorten(into.label, 30), title: into.label }), make("td", { textContent: figure(move.distance) }), bar);
  }));
}

function drawEvents() {
  const c = chartColumn(), list = $("events"), isEmpty = c < 0 || !windows.some((map) => map.events.some(([, column]) => column === c));
  $("events-card").hidden = isEmpty;
  $("movers-card").classList.toggle("wide", isEmpty);
  if (isEmpty) { list.replaceChildren(); return; }
  const { values } = data.columns[c], title = (code) => shorten(values[code], 40);
  const all = windows.flatMap((map) => map.events.filter(([, column]) => column === c).map((event) => ({ map, event })));
  all.sort((a, b) => b.event[3] - a.event[3] || a.map.t - b.map.t);
  const isFolding = all.some(({ event: [, , , n] }) => n > 1);
  const items = all.map(({ map, event: [kind, , label, n, other] }) => {
    const [sign, verb] = EVENTS[kind], rest = kind === "turn" ? ` ${title(other)}` : kind === "split" ? ` into ${other} parts` : kind === "merge" ? ` from ${other} parts` : "";
    const name = make("b", { text: title(label), title: values[label] }), when = make("span", { className: "when", text: shorten(map.label, 24), title: map.label });
    const button = make("button", { type: "button" }, when, make("span", { className: `sign ${kind}`, textContent: sign, ariaHidden: "true" }), make("span", { className: "what" }, name, make("span", { text: ` ${verb}${rest}` })), make("span", { className: "n", textContent: count(n) }));
    button.addEventListener("click", () => { setPlaying(false); goTo(map.t); showMap(); });
    const item = make("li", { data: { t: map.t } }, button);
    item.hidden = isFolding && n === 1;
    return item;
  });
  list.replaceChildren(...items, ...foldEvents(items.filter((item) => item.hidden)));
}

// Events of one row are shown when asked for, where there are larger ones.
function foldEvents(folded) {
  if (!folded.length) return [];
  const more = make("li", {}), button = make("button", { type: "button", className: "link", textContent: `${count(folded.length)} more of one row` });
  button.addEventListener("click", () => { folded.forEach((item) => { item.hidden = false; }); more.remove(); });
  more.append(button);
  return [more];
}

function markEvents() {
  for (const item of $("events").children) item.toggleAttribute("data-now", Number(item.dataset.t) === stepNow());
}

// After another colouring, or theme.
function drawChanges() {
  if (last === 0) return;
  drawHeat();
  drawEvents();
  drawStepCharts();
  drawFollowed();
  drawSelected();
}
