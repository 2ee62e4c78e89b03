/** What several pages tell: names of rows and of people, and commands to copy. */

import { get } from "./api.js";
import { h, template } from "./h.js";
import { addressOf, KINDS, MEMBERS } from "./resources.js";
import { link } from "./router.js";
import { wordsOf } from "./schema.js";
import { isManager, user } from "./session.js";

/** "véhicule 920". */
export const rowNamed = ({ resource, key }) => `${KINDS[resource].one} ${key}`;

/** The name of a row, or its key where there is no row; a link if it is `there`. */
export function rowLink({ resource, key, row }, there = Boolean(row)) {
  const { page, one, nameOf } = KINDS[resource];
  const name = (row && nameOf(row)) || key;
  const kind = `${one[0].toUpperCase()}${one.slice(1)} `;
  return h("span", {}, kind, there ? h("a", { href: link(page, [key]) }, name) : name);
}

/** Who stands in `updatedBy` and its like: "par Camille Exemple", "en SQL (psql)"; `name` is the member's, if known. */
export function byWhom(id, name) {
  return wordsOf("Member", "updatedBy")[id] ?? (id ? `par ${name ?? id}` : "");
}

const names = new Map();

/** The name of the member with this id, or of another writer; only managers read who other members are. */
export async function personOf(id) {
  const word = wordsOf("Member", "updatedBy")[id];
  if (word || !id) return word ?? "";
  if (!isManager()) return id === user().id ? "vous" : "";
  const read = () => get(addressOf(MEMBERS, id)).then(({ data }) => MEMBERS.nameOf(data)).catch(() => id);
  if (!names.has(id)) names.set(id, read());
  return names.get(id);
}

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
