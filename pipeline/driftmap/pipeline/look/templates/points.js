// The rows of two windows as one list of points: where each comes from and goes to, its colours, and whether it is lit.
let points = null;

function pointsNow() {
  const { pair } = pairAt(view.time), extra = isLive ? tileNow() : null;
  const isMade = points && points.pair === pair && points.extra === extra;
  if (isMade && !points.isStale) return points;
  const { from, to, a, b } = pair, nRows = from.length, n = nRows + (extra ? extra.rows.length : 0);
  const out = isMade ? points : { pair, extra, n, nRows, places: new Float32Array(4 * n), looks: new Float32Array(4 * n), lit: new Float32Array(n) };
  const coloursA = coloursOf(a.t), coloursB = coloursOf(b.t), isLitAll = !isDimming();
  for (let k = 0; k < nRows; k++) {
    const i = from[k], j = to[k];
    if (!isMade) {
      out.places[4 * k] = i < 0 ? b.places[2 * j] : a.places[2 * i];
      out.places[4 * k + 1] = i < 0 ? b.places[2 * j + 1] : a.places[2 * i + 1];
      out.places[4 * k + 2] = j < 0 ? a.places[2 * i] : b.places[2 * j];
      out.places[4 * k + 3] = j < 0 ? a.places[2 * i + 1] : b.places[2 * j + 1];
    }
    const p = i < 0 ? coloursB[j] : coloursA[i], q = j < 0 ? coloursA[i] : coloursB[j];
    out.looks[4 * k] = p;
    out.looks[4 * k + 1] = q;
    out.looks[4 * k + 2] = i < 0 || p === HIDDEN ? 0 : 1;
    out.looks[4 * k + 3] = j < 0 || q === HIDDEN ? 0 : 1;
    out.lit[k] = isLitAll || isLit(pair, i, j) ? 1 : 0;
  }
  if (extra) addTile(out, nRows, extra);
  out.isStale = false;
  out.version = (out.version || 0) + 1;
  points = out;
  return out;
}

function isLit({ a, b }, i, j) {
  const entity = i < 0 ? b.entities[j] : a.entities[i];
  if (view.selected && !view.selected[entity]) return false;
  if (view.focus === null) return true;
  return (i >= 0 && codeOf(a, i) === view.focus) || (j >= 0 && codeOf(b, j) === view.focus);
}

const isDimming = () => view.focus !== null || view.selected !== null;

// What is drawn now: x, y, entity, row and window of each point that can be seen.
function eachPoint(visit) {
  const { pair, part, ease } = pairAt(view.time), { nRows, places, looks, lit } = pointsNow();
  const isNearer = part < 0.5;
  for (let k = 0; k < nRows; k++) {
    const alpha = looks[4 * k + 2] + (looks[4 * k + 3] - looks[4 * k + 2]) * part;
    if (alpha < 0.5) continue;
    const x = places[4 * k] + (places[4 * k + 2] - places[4 * k]) * ease;
    const y = places[4 * k + 1] + (places[4 * k + 3] - places[4 * k + 1]) * ease;
    const isFirst = pair.from[k] >= 0 && (isNearer || pair.to[k] < 0);
    visit(x, y, isFirst ? pair.a : pair.b, isFirst ? pair.from[k] : pair.to[k], lit[k] > 0);
  }
}

const radius = (side, n) => Math.max(1.15, Math.min(side / 150, 0.15 * side / Math.sqrt(Math.max(1, n))));
