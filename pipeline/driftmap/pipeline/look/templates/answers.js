// What changed, in sentences; a click chooses the window, lights the rows and brings the map into view.
function showMap() {
  const box = $("map").getBoundingClientRect();
  if (box.top < 0 || box.bottom > innerHeight) $("map").scrollIntoView({ block: "nearest" });
}

function drawAnswers() {
  $("answers").hidden = answers.length === 0;
  $("answers-list").replaceChildren(...answers.map((answer) => {
    const map = windows[answer.t], when = make("span", { className: "when", text: shorten(map.label, 24), title: map.label });
    const button = make("button", { type: "button", data: { kind: answer.kind } }, when, make("span", { className: "what", text: answer.text }));
    button.addEventListener("click", () => {
      setPlaying(false);
      goTo(answer.t);
      const chosen = new Uint8Array(names.length);
      for (const entity of answer.entities) chosen[entity] = 1;
      // rows that left are in the window before only
      if (!answer.entities.some((entity) => findRow(map, entity) >= 0)) goTo(Math.max(0, answer.t - 1));
      select(chosen);
      showMap();
    });
    return make("li", {}, button);
  }));
}
