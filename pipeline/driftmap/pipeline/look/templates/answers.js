// What changed from A to B, in sentences; a click chooses both windows, lights the rows and brings the map into view.
const MOST_ANSWERS = 5;

function showMap() {
  const box = $("panes").getBoundingClientRect();
  if (box.top < 0 || box.bottom > innerHeight) $("panes").scrollIntoView({ block: "nearest" });
}

function drawAnswers() {
  const [a, b] = pairNow(), key = `${a}/${b}`;
  if (!answers.all.length || view.isPlaying || drawAnswers.key === key) return;
  drawAnswers.key = key;
  $("answers").hidden = false;
  const own = answers.all.filter((answer) => answer.a === a && answer.b === b), list = $("answers-list");
  const others = answers.highlights.filter((answer) => !own.includes(answer)).slice(0, MOST_ANSWERS - own.length - (own.length ? 0 : 1));
  $("answers-title").textContent = `What changed from ${shorten(windows[a].label, 30)} to ${shorten(windows[b].label, 30)}`;
  const rest = others.length ? [make("li", { className: "note", text: "Most unusual in the whole run" })] : [];
  if (isLive && data.share < 1) rest.unshift(make("li", { className: "note", text: "Measured on the rows that are drawn: counts are of these." }));
  list.replaceChildren(...(own.length ? own.map(makeAnswer) : [make("li", { className: "none", text: sayNothing(a, b) })]), ...rest, ...others.map(makeAnswer));
  // the map below does not jump when there is less to say
  list.style.minHeight = `${Math.max(parseFloat(list.style.minHeight) || 0, list.scrollHeight)}px`;
}

function sayNothing(a, b) {
  if (isLive && Math.min(a, b) < last + 1 - MOST_COMPARED) return `Not compared in words: of a store this large, only the newest ${MOST_COMPARED} windows are.`;
  if (answers.is_complete || b === a + 1 || (a === 0 && b === answers.newest[1])) return "No group of rows changed unusually.";
  return "Not compared in words: of this many rows, only windows next to each other are.";
}

function makeAnswer(answer) {
  const [from, to] = [windows[answer.a].label, windows[answer.b].label], isStep = answer.b === answer.a + 1;
  const when = make("span", { className: "when", text: isStep ? shorten(to, 24) : `${shorten(from, 12)} – ${shorten(to, 12)}`, title: `${from} to ${to}` });
  const button = make("button", { type: "button", data: { kind: answer.kind } }, when, make("span", { className: "what", text: answer.text }));
  button.addEventListener("click", () => {
    setPlaying(false);
    chooseSince(isStep ? "previous" : String(answer.a));
    goTo(answer.b);
    const chosen = litBy(answer);
    // rows that left are in the older window only
    if (!view.isComparing && !windows[answer.b].entities.some((entity) => chosen[entity])) goTo(answer.a);
    select(chosen);
    showMap();
  });
  return make("li", {}, button);
}

// The rows of a group in one of the two windows, or single rows.
function litBy({ c, code, t, entities }) {
  const chosen = new Uint8Array(names.length);
  for (const entity of entities) chosen[entity] = 1;
  if (c !== null) windows[t].entities.forEach((entity, row) => { if (windows[t].values[c][row] === code) chosen[entity] = 1; });
  return chosen;
}
