// How unusual a difference is: words and numbers of some rows against others, in standard errors.
const LEAST_Z = 3, LEAST_ROWS = 3;
// Steps by which the same number may differ in two windows: each rounds by its own rows, and the page once more.
const ROUNDING = 3;

// From one window to another, all rows or chosen ones: what came (rows that are new, or others now) and what went.
function weighChange(a, aRows, b, bRows) {
  const inB = new Map(Array.from(bRows, (row) => [b.entities[row], row])), pairs = [], gone = [];
  for (const row of aRows) {
    const other = inB.get(a.entities[row]);
    if (other === undefined) gone.push(row); else pairs.push([row, other]);
  }
  const stayed = new Set(pairs.map(([, row]) => row)), fresh = Array.from(bRows).filter((row) => !stayed.has(row));
  const list = (isOther) => {
    const others = pairs.filter(isOther);
    return [[...gone, ...others.map(([i]) => i)], [...fresh, ...others.map(([, j]) => j)]];
  };
  const moved = {
    words: list(([i, j]) => a.words && !hasSameWords(a.words[i], b.words[j])),
    column: (c) => list(([i, j]) => Math.abs(a.numbers[c][i] - b.numbers[c][j]) > ROUNDING),
  };
  return weigh({ map: a, rows: aRows }, { map: b, rows: bRows }, moved, false);
}

// Chosen rows of a window against its others.
function weighApart(map, inside) {
  const isInside = new Uint8Array(map.entities.length), outside = [];
  for (const row of inside) isInside[row] = 1;
  for (let row = 0; row < isInside.length; row++) if (!isInside[row]) outside.push(row);
  return weigh({ map, rows: outside }, { map, rows: inside }, { words: [outside, inside], column: () => [outside, inside] }, true);
}

const hasSameWords = (p, q) => p === q || (p.length === q.length && p.every((word, k) => word === q[k]));

// Apart, two means are compared; else what came, less what went, with what the mean of both windows would give.
function rateDifference(one, two, common, spread, isApart) {
  if (!one.n && !two.n) return 0;
  if (isApart) return (two.sum / two.n - one.sum / one.n) / (spread * Math.sqrt(1 / one.n + 1 / two.n));
  return (two.sum - two.n * common - (one.sum - one.n * common)) / (spread * Math.sqrt(one.n + two.n));
}

function weigh(from, to, moved, isApart) {
  const words = [], columns = [], n1 = from.rows.length, n2 = to.rows.length;
  const sides = (rows) => [[from.map, from.rows], [to.map, to.rows], [from.map, rows[0]], [to.map, rows[1]]];
  const keep = (list, item, z) => { if (Math.abs(z) >= LEAST_Z) list.push({ ...item, z }); };
  if (hasWords() && n1 && n2) {
    const [all1, all2, some1, some2] = sides(moved.words).map(([map, rows]) => countWords(map, rows));
    data.reasons.words.forEach((name, w) => {
      const common = (all1[w] + all2[w]) / (n1 + n2), spread = Math.sqrt(common * (1 - common));
      if (all1[w] + all2[w] < LEAST_ROWS || !spread) return;
      const [one, two] = [some1, some2].map((counts, k) => ({ sum: counts[w], n: moved.words[k].length }));
      keep(words, { name, w, from: all1[w] / n1, to: all2[w] / n2 }, rateDifference(one, two, common, spread, isApart));
    });
  }
  data.reasons.columns.forEach((name, c) => {
    const [all1, all2, some1, some2] = sides(moved.column(c)).map(([map, rows]) => sumNumbers(map, rows, c));
    const n = all1.n + all2.n, common = (all1.sum + all2.sum) / n, spread = Math.sqrt(Math.max(0, (all1.squares + all2.squares) / n - common * common));
    if (all1.n < LEAST_ROWS || all2.n < LEAST_ROWS || !(spread > 0)) return;
    keep(columns, { name, from: all1.sum / all1.n, to: all2.sum / all2.n }, rateDifference(some1, some2, common, spread, isApart));
  });
  const byZ = (p, q) => Math.abs(q.z) - Math.abs(p.z) || (p.name < q.name ? -1 : 1);
  return { words: words.sort(byZ), columns: columns.sort(byZ) };
}

function countWords(map, rows) {
  const counts = new Float64Array(data.reasons.words.length);
  for (const row of rows) for (const word of map.words[row]) counts[word]++;
  return counts;
}

function sumNumbers(map, rows, c) {
  let n = 0, sum = 0, squares = 0;
  for (const row of rows) {
    const value = numberOf(map.numbers[c][row], c);
    if (Number.isNaN(value)) continue;
    n++;
    sum += value;
    squares += value * value;
  }
  return { n, sum, squares };
}
