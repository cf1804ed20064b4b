// One entity through time: its windows, its labels, and who stays near it on the map.
const N_NEIGHBOURS = 8;
const MOST_KNOWN = 8;
const neighbours = new Map();

function follow(entity) {
  view.followed = entity;
  if (entity >= 0 && findRow(nearest(), entity) < 0) {
    const at = windows.findIndex((map) => findRow(map, entity) >= 0);
    if (at >= 0) { setPlaying(false); goTo(at); }
  }
  drawFollowed();
  redraw();
}

// The nearest on the map of the window at hand, against those of window A, or of the last one before that has the entity.
function findNeighbours(entity) {
  const now = nearest(), since = sinceWindow(), key = `${entity}/${now.t}/${since}`;
  if (neighbours.has(key)) return neighbours.get(key);
  const here = nearestOnMap(now, entity);
  let before = since === now.t ? null : nearestOnMap(windows[since], entity);
  for (let t = now.t - 1; t >= 0 && !before; t--) before = nearestOnMap(windows[t], entity);
  const found = {
    isCompared: here !== null && before !== null,
    kept: (here || []).filter((other) => !before || before.includes(other)),
    gained: before ? (here || []).filter((other) => !before.includes(other)) : [],
    lost: here && before ? before.filter((other) => !here.includes(other)) : [],
  };
  if (neighbours.size >= MOST_KNOWN) neighbours.clear();
  neighbours.set(key, found);
  return found;
}

function nearestOnMap(map, entity) {
  const own = findRow(map, entity);
  if (own < 0) return null;
  const near = [], { places } = map;
  for (let row = 0; row < map.entities.length; row++) {
    if (row === own) continue;
    const dx = places[2 * row] - places[2 * own], dy = places[2 * row + 1] - places[2 * own + 1], squared = dx * dx + dy * dy;
    if (near.length === N_NEIGHBOURS && squared >= near.at(-1)[0]) continue;
    let k = near.length;
    while (k > 0 && near[k - 1][0] > squared) k--;
    near.splice(k, 0, [squared, map.entities[row]]);
    if (near.length > N_NEIGHBOURS) near.pop();
  }
  return near.map(([, other]) => other);
}

function drawFollowed() {
  const entity = view.followed;
  $("followed-card").hidden = entity < 0;
  if (entity < 0) return;
  const map = nearest(), row = findRow(map, entity);
  $("followed-name").textContent = names[entity];
  const facts = row < 0 ? [make("div", { text: `not in ${shorten(map.label, 60)}` })] : describe(map, row);
  const { kept, gained, lost, isCompared } = findNeighbours(entity);
  $("followed").replaceChildren(
    make("div", { className: "note" }, ...facts), ...(last > 0 ? [drawTimeline(entity), makeAxis(0, (t) => (t + 0.5) / windows.length)] : []),
    ...listOthers(isCompared ? "Still near" : "Near on the map", "kept", kept), ...listOthers("New", "gained", gained), ...listOthers("Gone", "lost", lost),
  );
  fitAxes();
}

function listOthers(title, kind, entities) {
  if (!entities.length) return [];
  const chips = entities.map((other) => {
    const chip = make("button", { type: "button", className: "other", text: shorten(names[other], 40), title: names[other] });
    chip.addEventListener("click", () => follow(other));
    return chip;
  });
  return [make("div", { className: `others ${kind}` }, make("b", { textContent: title }), ...chips)];
}

// A bar for every window that has the entity, as high as it moved into it, in the colour it has there.
function drawTimeline(entity) {
  const chart = draw("svg", { viewBox: `0 0 ${windows.length * 10} 40`, preserveAspectRatio: "none", class: "timeline", role: "img", "aria-label": "Windows with this id; height: how far it moved" });
  const top = Math.max(findTopMove.cached ??= findTopMove(), ...windows.map((map) => movesInto(map.t)[findRow(map, entity)] || 0));
  windows.forEach((map, t) => {
    const row = findRow(map, entity);
    if (row < 0) { chart.append(draw("rect", { class: "absent", x: t * 10 + 1, y: 37, width: 8, height: 1.5 })); return; }
    const moved = movesInto(t)[row], height = 8 + 30 * Math.sqrt(Math.min(1, (moved || 0) / top)), bar = draw("rect", { x: t * 10 + 1, y: 40 - height, width: 8, height });
    bar.style.fill = paint(coloursOf(t)[row] === HIDDEN ? OTHER : coloursOf(t)[row]);
    bar.append(draw("title"));
    bar.firstChild.textContent = `${map.label}${moved >= 0 ? `: moved ${figure(moved)}` : ""}`;
    bar.addEventListener("click", () => { setPlaying(false); goTo(t); });
    chart.append(bar);
  });
  chart.append(draw("rect", { class: "here", x: Math.round(view.time) * 10, y: 0, width: 10, height: 40 }));
  return chart;
}
