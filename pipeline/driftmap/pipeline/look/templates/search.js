// Finding an entity by its id.
const MOST_FOUND = 12;
let lowered = null, marked = 0;

function findNames(text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  lowered ??= names.map((name) => name.toLowerCase());
  const first = [], later = [];
  for (let e = 0; e < lowered.length; e++) {
    const at = lowered[e].indexOf(wanted);
    if (at === 0) first.push(e); else if (at > 0) later.push(e);
  }
  const byName = (a, b) => lowered[a].length - lowered[b].length || (lowered[a] < lowered[b] ? -1 : 1);
  return [...first.sort(byName), ...later.sort(byName)];
}

function showFound() {
  const found = findNames($("search").value), list = $("found-list"), isSought = $("search").value.trim() !== "";
  marked = 0;
  list.replaceChildren(...found.slice(0, MOST_FOUND).map((entity, k) => {
    const option = make("li", { id: `found-${k}`, role: "option", text: names[entity], data: { entity } });
    option.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(entity); });
    return option;
  }));
  const none = data.entities.length < data.n_entities ? "not among the ids of the sample" : "no such id";
  $("found-note").textContent = found.length > MOST_FOUND ? `and ${count(found.length - MOST_FOUND)} more` : isSought && !found.length ? none : "";
  list.hidden = !found.length;
  $("found").hidden = !isSought;
  $("search").setAttribute("aria-expanded", String(isSought));
  mark(0);
}

function mark(k) {
  const options = $("found").querySelectorAll("[role=option]");
  if (!options.length) { $("search").removeAttribute("aria-activedescendant"); return; }
  marked = (k + options.length) % options.length;
  options.forEach((option, n) => option.setAttribute("aria-selected", String(n === marked)));
  $("search").setAttribute("aria-activedescendant", options[marked].id);
  options[marked].scrollIntoView({ block: "nearest" });
}

function choose(entity) {
  closeFound();
  $("search").value = "";
  $("search").blur();  // so that keys move in time again
  follow(entity);
}

function closeFound() {
  $("found").hidden = true;
  $("search").setAttribute("aria-expanded", "false");
}

function startSearch() {
  const search = $("search");
  search.addEventListener("input", showFound);
  search.addEventListener("focus", showFound);
  search.addEventListener("blur", closeFound);
  search.addEventListener("keydown", (event) => {
    const option = $("found").querySelectorAll("[role=option]")[marked];
    if (event.key === "ArrowDown") mark(marked + 1);
    else if (event.key === "ArrowUp") mark(marked - 1);
    else if (event.key === "Enter" && option) choose(Number(option.dataset.entity));
    else if (event.key === "Escape") { search.value = ""; closeFound(); search.blur(); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}
