// What is shown of rows: unpacked block by block once the page stands. Texts only ever become text nodes; only http and
// https are links, and a picture of theirs is fetched when somebody asks for it; those of files are in the page.
const BLOCK_VALUES = 512;
const PICTURE = /\.(png|jpe?g|gif|webp|avif|svg)$/i;
const PICTURE_HERE = /^data:image\/(png|jpeg);base64,/;
const blocks = [];
let unpacked = null;

const hasDetails = () => data.details.length > 0;

async function unpackBlock(text) {
  const raw = atob(text), packed = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) packed[i] = raw.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

function unpackDetails() {
  unpacked ??= (async () => {
    const packed = $("details") ? $("details").textContent.split("\n") : [];
    for (let k = 0; k < packed.length; k++) blocks[k] = await unpackBlock(packed[k]);
  })();
  return unpacked;
}

// A row's text in a shown column, or its picture; null where it was not unpacked yet, or is not on the page.
function detailOf(map, row, c, first = data.details[c].first) {
  const code = map.details[c][row], { n_values: n } = data.details[c];
  const block = code < n ? blocks[first + Math.floor(code / BLOCK_VALUES)] : null;
  return block ? block[code % BLOCK_VALUES] : null;
}

function linkOf(text) {
  if (!/^https?:\/\//i.test(text)) return null;
  try {
    const { protocol, href } = new URL(text);
    return protocol === "http:" || protocol === "https:" ? href : null;
  } catch {
    return null;
  }
}

// The details of a row: plain text in a tip, which nothing can click; links and pictures elsewhere.
function listDetails(map, row, { isPlain = false, most = 300 } = {}) {
  return data.details.flatMap((column, c) => {
    const text = detailOf(map, row, c);
    if (text === null || !text.trim()) return [];
    return [makeDetail(column.name, text, { isPlain, most, pictures: showPicture(map, row, c) })];
  });
}

function makeDetail(title, text, { isPlain, most, pictures = [] }) {
  const name = make("span", { className: "detail-name", text: title }), link = isPlain ? null : linkOf(text);
  if (!link) return make("div", { className: "detail" }, name, make("span", { text: shorten(text, most) }), ...pictures);
  const anchor = make("a", { href: link, target: "_blank", rel: "noopener noreferrer", referrerPolicy: "no-referrer", text: shorten(text, 80), title: link });
  return make("div", { className: "detail" }, name, anchor, ...(PICTURE.test(new URL(link).pathname) ? [makePicture(link)] : []));
}

// The picture of a file, or that it is not here.
function showPicture(map, row, c) {
  const first = data.details[c].first_picture;
  return makePictureHere(first === undefined ? "" : detailOf(map, row, c, first));
}

function makePictureHere(found) {
  if (!found) return [];
  if (!PICTURE_HERE.test(found)) return [make("span", { className: "note", textContent: ` picture ${found}` })];
  return [make("img", { className: "picture", alt: "picture of this row", src: found })];
}

function makePicture(link) {
  const button = make("button", { type: "button", className: "link", textContent: "show picture", title: `Fetches ${link}` });
  button.addEventListener("click", () => {
    const picture = make("img", { className: "picture", alt: "picture of this row", referrerPolicy: "no-referrer" });
    picture.addEventListener("error", () => picture.replaceWith(make("span", { className: "note", textContent: "this picture cannot be fetched" })));
    picture.src = link;
    button.replaceWith(picture);
  });
  return button;
}

const sayMissingDetails = () => data.details.filter(({ n_values: n, n_all: all }) => n < all)
  .map(({ name, n_values: n, n_all: all }) => `Of ${count(all)} values of ${name}, the first ${count(n)} are on this page.`);
