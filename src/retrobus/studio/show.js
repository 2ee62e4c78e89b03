/** How numbers, dates, values, rows and people are shown to a French reader. */

import { get, picture } from "./api.js";
import { definitions, fill, h, template } from "./h.js";
import { addressOf, KINDS, wordsOf } from "./resources.js";
import { link } from "./router.js";
import { isManager, user } from "./session.js";

const INSTANT = new Intl.DateTimeFormat("fr-FR", { dateStyle: "long", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat("fr-FR", { dateStyle: "medium", timeZone: "UTC" });

/** An instant in the reader's own time. */
export const instant = (text) => INSTANT.format(new Date(text));

/** The day of a row: its first ten characters, whatever the reader's time zone is. */
const day = (text) => DAY.format(new Date(`${text.slice(0, 10)}T00:00:00Z`));

export const { format: number } = new Intl.NumberFormat("fr-FR", { maximumFractionDigits: 2 });
const { format: euros } = new Intl.NumberFormat("fr-FR", { style: "currency", currency: "EUR" });

/** Bytes as "8,4 Mo" or "12 ko". */
export const bytes = (count) => (count < 1e6 ? `${number(Math.ceil(count / 1e3))} ko` : `${number(count / 1e6)} Mo`);

/** "1 véhicule", "2 véhicules". */
export const counted = (count, one) => `${number(count)} ${one}${count < 2 ? "" : "s"}`;

/** A text of a row in quotation marks: signs that turn the direction of writing end with it. */
export const quoted = (text) => `« ${/[\u202a-\u202e\u2066-\u2069]/.test(text) ? `\u2068${text}\u2069` : text} »`;

/** Texts in the order of a dictionary, and numbers in them by size. */
export const LETTERS = new Intl.Collator("fr", { numeric: true, sensitivity: "base" });

/** A text without accents and capitals, for searching. */
export const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

/** For each kind of field, how its values are written, if not as they are. */
const WRITTEN = {
  day, instant, number, money: euros,
  flag: (value) => (value ? "Oui" : "Non"),
  choice: (value, { words }) => words[value] ?? value,
  image: (value) => value.replace(/^data:\S*/, "une image"), // behind it, how long one is that is not told whole
  images: (value) => counted(value.length, "image"),
  pairs: (value) => value.map((pair) => `${pair.label} : ${pair.value}`).join("\n"),
  lines: (value) => value.join("\n"),
};

const isEmpty = (value) => value == null || value === "" || (Array.isArray(value) && value.length === 0);

/** A value as a text; empty for nothing. */
export const textOf = (field, value) => (isEmpty(value) ? "" : (WRITTEN[field.kind] ?? String)(value, field));

/** A value as nodes, for reading it whole. */
export function nodeOf(field, value) {
  if (isEmpty(value)) return h("span", { class: "quiet" }, "–");
  if (field.kind === "image") return pictureOf(value);
  if (field.kind === "images") return h("div", { class: "pictures" }, value.map(pictureOf));
  if (field.kind === "author") return later(personOf(value), value);
  return field.kind === "json" ? h("pre", {}, value) : outward(textOf(field, value));
}

/** The values of a row, each under the label of its field. */
export const valuesOf = (fields, row) => h("dl", { class: "values" }, definitions(fields
  .filter(({ name }) => name in row)
  .map((field) => [field.label, nodeOf(field, row[field.name])])));

/** A text that is still on its way; the `other` one if it does not come. */
function later(text, other) {
  const node = h("span", { class: "text" }, "…");
  text.catch(() => other).then((found) => fill(node, found));
  return node;
}

/** An image that the row holds; one that is elsewhere is only named: the page loads nothing from elsewhere. */
export const pictureOf = (value) =>
  (value.startsWith("data:image/") ? h("img", { class: "picture", src: value, alt: "" }) : outward(value));

/** A text, as a link if it is the address of a page. */
function outward(text) {
  if (!/^https?:\/\/\S+$/i.test(text)) return h("span", { class: "text" }, text);
  return h("a", { href: text, target: "_blank", rel: "noopener noreferrer" }, text);
}

const answers = new Map(); // promised, by address: a page that is drawn again asks for nothing again

/** What `read()` promises, asked for once; a failure is not kept, so the next drawing asks again. */
function once(address, read) {
  if (!answers.has(address)) answers.set(address, read());
  answers.get(address).catch(() => answers.delete(address));
  return answers.get(address);
}

/** A small picture of a row of a list, asked for when it comes into view. */
export function thumbnail({ imageUrl, galleryUrls, version }) {
  const path = imageUrl ?? galleryUrls?.find((url) => url.startsWith("/"));
  if (!path) return null;
  const image = h("img", { class: "thumbnail", alt: "" });
  new IntersectionObserver(([{ isIntersecting }], observer) => {
    if (!isIntersecting) return;
    observer.disconnect();
    once(`${path} ${version}`, () => picture(path)).then((found) => (image.src = found), () => {});
  }).observe(image);
  return image;
}

/** "véhicule 920". */
export const rowNamed = ({ resource, key }) => `${KINDS[resource].one} ${key}`;

/** The name of a row, or its key where there is no row; a link if it is `there`. */
export function rowLink({ resource, key, row }, there = Boolean(row)) {
  const { page, one, nameOf } = KINDS[resource];
  const name = (row && nameOf(row)) || key;
  const kind = `${one[0].toUpperCase()}${one.slice(1)} `;
  return h("span", {}, kind, there ? h("a", { href: link(page, [key]) }, name) : name);
}

const GONE = "un adhérent supprimé";

/** Who stands in `updatedBy` and its like: "par Camille Exemple", "en SQL (psql)"; a deleted member has no `name`. */
export const byWhom = (id, name) => wordsOf("Member", "updatedBy")[id] ?? (id ? `par ${name ?? GONE}` : "");

/** The name of the member with this id, or of another writer; only managers read who other members are. */
export async function personOf(id) {
  const word = wordsOf("Member", "updatedBy")[id];
  if (word || !id) return word ?? "";
  if (!isManager()) return id === user().id ? "vous" : "un autre adhérent";
  const path = addressOf(KINDS.Member, id);
  return once(path, () => get(path).then(({ data }) => KINDS.Member.nameOf(data), nameless));
}

const nameless = (problem) => (problem.status === 404 ? GONE : Promise.reject(problem));

const toClipboard = async (text) => navigator.clipboard.writeText(text); // undefined without HTTPS, but for localhost

/** A command that an operator types on the server, ready to be copied. */
export function command(text) {
  const { node, code, said } = template("command", {
    code: text,
    copy: async () => {
      getSelection().selectAllChildren(code);
      said.textContent = await toClipboard(text).then(() => "Copié").catch(() => "Sélectionné : copiez avec Ctrl+C");
    },
  });
  return node;
}
