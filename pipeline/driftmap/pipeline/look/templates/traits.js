// Words, numbers and details of rows, as the page's data have them: what an id has differs from its last row, or not.
function makeTraitReader(header, read) {
  const n = header.entities.length, { columns, coding } = header.reasons, missing = coding[3];
  const lastNumbers = columns.map(() => new Int32Array(n).fill(missing)), lastDetails = header.details.map(() => new Int32Array(n));
  const lastWords = new Array(n).fill(null), none = new Int32Array(0);
  const add = (streams, last, origin, slots) => streams.map((stream, k) => {
    const steps = read(stream);
    for (let i = 0; i < steps.length; i++) steps[i] = last[k][origin[i]] += steps[i];
    return Int32Array.from(slots, (i) => steps[i]);
  });
  // `origin`: the id of each row as it was written; `slots`: where each row of the window stands among them.
  return (given, origin, slots) => {
    const numbers = add(given.numbers, lastNumbers, origin, slots), details = add(given.details, lastDetails, origin, slots);
    if (!given.words) return { numbers, details, words: null };
    const lengths = read(given.words[0]), codes = read(given.words[1]);
    let at = 0;
    const lists = Array.from(origin, (e, i) => {
      if (lengths[i] > 0) { lastWords[e] = lengths[i] > 1 ? codes.subarray(at, at + lengths[i] - 1) : none; at += lengths[i] - 1; }
      return lastWords[e];
    });
    return { numbers, details, words: Array.from(slots, (i) => lists[i] || none) };
  };
}

const hasWords = () => data.reasons.words.length > 0;
const hasReasons = () => hasWords() || data.reasons.columns.length > 0 || (isLive && data.has_traits);

// The number that a code stands for; NaN where it is missing.
function numberOf(code, column) {
  const [steps, fineness, middle, missing] = data.reasons.coding, [mean, spread] = data.reasons.scale.map((values) => values[column]);
  return code === missing ? NaN : mean + spread * Math.sinh((code - middle) / steps) / fineness;
}
