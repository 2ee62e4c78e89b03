/** What several pages tell: names of rows and of people, causes of deletions, and commands to copy. */

import { get } from "./api.js";
import { dialog } from "./dialog.js";
import { button, h } from "./h.js";
import { addressOf, RESOURCES } from "./resources.js";
import { link } from "./router.js";

const [Vehicle, Event, Member] = RESOURCES;
const KINDS = { Vehicle, Event, Member };

/** What `updatedBy` says of a writer who is no member. */
export const AUTHORS = {
  sql: "en SQL (psql)", cli: "par une commande", restore: "par une restauration", clean: "par un nettoyage",
  api: "par le service",
};
export const CAUSES = {
  api: "dans l’application", sql: "en SQL (psql)", clean: "nettoyage des tables", reset: "remise à zéro de la base",
  restore: "restauration d’un backup", erase: "effacement définitif",
};

/** The resource that the API calls `Vehicle`, `Event` or `Member`. */
export const kindOf = (name) => KINDS[name];

/** "véhicule 920". */
export const rowNamed = (resource, key) => `${KINDS[resource].one} ${key}`;

/** The name of a row, or its key where there is no row; a link if it is `there`. */
export function rowLink({ resource, key, row }, there = Boolean(row)) {
  const { page, one, nameOf } = KINDS[resource];
  const name = (row && nameOf(row)) || key;
  const kind = `${one[0].toUpperCase()}${one.slice(1)} `;
  return h("span", {}, kind, there ? h("a", { href: link(page, [key]) }, name) : name);
}

const names = new Map();

/** Who changed a row, from its `updatedBy`: "par Camille Exemple", "en SQL (psql)". */
export async function author(id) {
  if (!id || AUTHORS[id]) return AUTHORS[id] ?? "";
  const read = () => get(addressOf(Member, id)).then(({ data }) => Member.nameOf(data)).catch(() => id);
  if (!names.has(id)) names.set(id, read());
  return `par ${await names.get(id)}`;
}

/** Who made a deletion; an SQL client and a clean-up have no name. */
export const deleter = async ({ deletedByName, deletedBy, cause }) =>
  (deletedByName ? `par ${deletedByName}` : (await author(deletedBy)) || CAUSES[cause]);

/** Shows something until it is closed. */
export const show = (title, content) => dialog(title, (answer) =>
  [content, h("div", { class: "actions" }, button("Fermer", () => answer(null)))].flat());

/** A command that an operator types on the server, ready to be copied. */
export function command(text) {
  const code = h("code", { tabindex: "0" }, text);
  const said = h("span", { role: "status", class: "quiet" });
  const copy = async () => {
    getSelection().selectAllChildren(code);
    try {
      await navigator.clipboard.writeText(text); // undefined without HTTPS, but for localhost
      said.textContent = "Copié";
    } catch {
      said.textContent = "Sélectionné : copiez avec Ctrl+C";
    }
  };
  return h("div", { class: "command" }, code, button("Copier", copy), said);
}

/** A table with these headings; each row is a list of cells, the first of which names the row. */
export function table(caption, headings, rows) {
  const cell = (content, place) => (place === 0
    ? h("th", { scope: "row" }, content)
    : h("td", { "data-label": headings[place] }, content));
  return h("div", { class: "table" }, h("table", { class: "told" },
    h("caption", { class: "visually-hidden" }, caption),
    h("thead", {}, h("tr", {}, headings.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map(cell))))));
}
