// The whole page of a store, served by `driftmap view`: loaded again once there are new maps, with what its address says
// (address.js). Not while somebody plays, draws or types.
const NEWS_MS = 1000 * Number($("served").textContent);
let knownMaps = null;

async function lookForMaps() {
  try {
    const { maps } = await (await fetch("head", { cache: "no-store" })).json();
    knownMaps ??= maps;
    if (maps !== knownMaps && !view.isPlaying && !view.lasso && !$("search").value) { location.reload(); return; }
  } catch { /* the server has ended: what is here stays */ }
  setTimeout(lookForMaps, NEWS_MS);
}

lookForMaps();
