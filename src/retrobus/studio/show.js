/** How a value is shown to a reader, by the kind of its field. */

import { picture } from "./api.js";
import { h } from "./h.js";
import { personOf } from "./told.js";
import { counted, day, euros, instant, number } from "./words.js";

const WRITTEN = {
  day, instant, number, money: euros,
  flag: (value) => (value ? "Oui" : "Non"),
  choice: (value, { words }) => words[value] ?? value,
  image: (value) => (value.startsWith("data:") ? "une image" : value),
  images: (value) => counted(value.length, "image"),
  pairs: (value) => value.map((pair) => `${pair.label} : ${pair.value}`).join("\n"),
  lines: (value) => value.join("\n"),
};

const NOTHING = "–";
const isEmpty = (value) => value == null || value === "" || (Array.isArray(value) && value.length === 0);

/** A value as a text; empty for nothing. */
export function textOf(field, value) {
  return isEmpty(value) ? "" : (WRITTEN[field.kind] ?? String)(value, field);
}

/** A value as nodes, for reading it whole. */
export function nodeOf(field, value) {
  if (isEmpty(value)) return h("span", { class: "quiet" }, NOTHING);
  if (field.kind === "image") return pictureOf(value);
  if (field.kind === "images") return h("div", { class: "pictures" }, value.map(pictureOf));
  if (field.kind === "author") return later(personOf(value));
  return field.kind === "json" ? h("pre", {}, value) : outward(textOf(field, value));
}

/** A text that is still on its way. */
function later(text) {
  const node = h("span", { class: "text" }, "…");
  text.then((found) => (node.textContent = found || NOTHING));
  return node;
}

/** An image that the row holds; one that is elsewhere is only named: the page loads nothing from elsewhere. */
export function pictureOf(value) {
  return value.startsWith("data:image/") ? h("img", { class: "picture", src: value, alt: "" }) : outward(value);
}

/** A text, as a link if it is the address of a page. */
function outward(text) {
  if (!/^https?:\/\/\S+$/i.test(text)) return h("span", { class: "text" }, text);
  return h("a", { href: text, target: "_blank", rel: "noopener noreferrer" }, text);
}

const pictures = new Map(); // by address and version: a list that is drawn again asks for no picture again

/** A small picture at an address of the service, asked for when it comes into view. */
export function thumbnail(path, version) {
  const image = h("img", { class: "thumbnail", alt: "" });
  const name = `${path} ${version}`;
  new IntersectionObserver(async ([{ isIntersecting }], observer) => {
    if (!isIntersecting) return;
    observer.disconnect();
    if (!pictures.has(name)) pictures.set(name, picture(path).catch(() => null));
    image.src = (await pictures.get(name)) ?? "";
  }).observe(image);
  return image;
}
