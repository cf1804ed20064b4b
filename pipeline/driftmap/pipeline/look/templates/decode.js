// The page's data: base64 of zlib -> a header and streams of integers (page_codec.py wrote them) -> windows.
async function readData() {
  const raw = atob(document.getElementById("data").textContent);
  const packed = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) packed[i] = raw.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return openStreams(new Uint8Array(await new Response(stream).arrayBuffer()));
}

function openStreams(whole) {
  const start = 4 + new DataView(whole.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(whole.subarray(4, start)));
  return { header, read: (number) => readStream(whole, start, header.streams[number]) };
}

// Byte planes, low bytes first, of zigzag numbers.
function readStream(whole, start, [offset, count, width]) {
  const out = new Int32Array(count);
  for (let plane = 0; plane < width; plane++) {
    const from = start + offset + plane * count, shift = 8 * plane;
    for (let i = 0; i < count; i++) out[i] |= whole[from + i] << shift;
  }
  for (let i = 0; i < count; i++) out[i] = (out[i] >>> 1) ^ -(out[i] & 1);
  return out;
}

// Entities get numbers in a shuffled order, the same at every opening: rows are drawn by number, so the order in which
// they cover each other says nothing about them and stays the same in time.
function shuffle(n) {
  const order = Int32Array.from({ length: n }, (_, i) => i);
  let seed = 1;
  for (let i = n - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = Math.floor(seed / 4294967296 * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}

function decodeRun(header, read) {
  const n = header.entities.length, number = shuffle(n);
  const names = new Array(n);
  header.entities.forEach((name, e) => { names[number[e]] = name; });
  const lastSeen = [0, 1, ...header.columns].map(() => new Int32Array(n)), slot = new Int32Array(n);
  const traits = makeTraitReader(header, read);
  const all = header.windows.map((given, t) => {
    const gaps = read(given.entities), size = gaps.length;
    const steps = [given.x, given.y, ...given.columns].map(read);
    const origin = new Int32Array(size);
    slot.fill(-1);
    for (let i = 0, e = -1; i < size; i++) {
      e += gaps[i];
      origin[i] = e;
      steps.forEach((step, k) => { step[i] = lastSeen[k][e] += step[i]; });
      slot[number[e]] = i;
    }
    const entities = new Int32Array(size), places = new Float32Array(2 * size);
    const values = header.columns.map(() => new Int32Array(size));
    for (let e = 0, row = 0; row < size; e++) {
      const i = slot[e];
      if (i < 0) continue;
      entities[row] = e;
      places[2 * row] = steps[0][i];
      places[2 * row + 1] = steps[1][i];
      values.forEach((value, c) => { value[row] = steps[c + 2][i]; });
      row++;
    }
    const own = traits(given, origin, Int32Array.from(entities, (e) => slot[e]));
    const changed = given.turnover === undefined ? null : read(given.turnover);
    const turnover = changed && Float32Array.from(entities, (e) => (changed[slot[e]] ? (changed[slot[e]] - 1) / header.turnover_steps : NaN));
    const density = given.density === undefined ? null : read(given.density);
    const movers = given.movers.map(([e, distance, own]) => ({ t, entity: number[e], distance, own }));
    return { ...given, t, entities, places, values, density, movers, turnover, ...own };
  });
  const listed = header.answers.all.map(([a, b, kind, text, c, code, t, stream]) => {
    const gaps = stream === null ? [] : read(stream), entities = new Int32Array(gaps.length);
    for (let i = 0, e = -1; i < gaps.length; i++) { e += gaps[i]; entities[i] = number[e]; }
    return { a, b, kind, text, c, code, t, entities };
  });
  const answers = { ...header.answers, all: listed, highlights: header.answers.highlights.map((k) => listed[k]) };
  return { names, all, answers };
}
