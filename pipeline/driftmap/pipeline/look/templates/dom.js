// Elements, made and found. Texts from the data only ever become text nodes.
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function make(tag, { text, data, ...given } = {}, ...children) {
  const element = document.createElement(tag);
  Object.assign(element, given);
  Object.assign(element.dataset, data);
  if (text !== undefined) { element.textContent = text; element.dir = "auto"; }
  element.append(...children);
  return element;
}

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const letters = typeof Intl.Segmenter === "function" ? new Intl.Segmenter() : null;
function shorten(text, most) {
  if (text.length <= most) return text;
  const parts = letters ? Array.from(letters.segment(text), (part) => part.segment) : Array.from(text);
  return parts.length > most ? `${parts.slice(0, most - 1).join("")}…` : text;
}

const count = (n) => n.toLocaleString("en");
const figure = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits));
const themed = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const theme = () => document.documentElement.dataset.theme;
// Served by `driftmap view`, of a store that is too large for one file: see live.js, which other pages have not.
const isLive = $("live") !== null;
const isStill = matchMedia("(prefers-reduced-motion: reduce)");
