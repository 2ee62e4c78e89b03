/** The dialog after a 412: somebody else has changed the row, and the person chooses field by field. */

import { ask, freshId, h } from "./h.js";
import { nodeOf } from "./show.js";
import { instant } from "./words.js";

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
const listed = (text, fields) => fields.length > 0 && `${text} : ${fields.map(({ label }) => label).join(", ")}.`;

/**
 * Those of `mine` (changed fields with their values) that are to be saved; null if the person goes back to the form.
 * `row` is the row as it was read, `theirs` as it is now.
 */
export async function merged(fields, row, theirs, mine) {
  const kept = new Set(mine);
  const touched = new Set(fields.filter(({ name, readOnly }) => !readOnly && !same(row[name], theirs[name])));
  const own = new Set(mine.map(({ field }) => field));
  const clashing = mine.filter(({ field }) => touched.has(field));
  const done = await ask("merge", {
    when: theirs.updatedAt && ` le ${instant(theirs.updatedAt)}`,
    choices: clashing.map((one) => choice(one, row, theirs, kept)),
    own: listed("Changé par vous seul, à enregistrer", [...own.difference(touched)]),
    others: listed("Changé par l’autre seul, à garder", [...touched.difference(own)]),
  });
  return done ? [...kept] : null;
}

/** Mine or theirs of one field, and what it was before; what is chosen is `kept`. */
function choice(one, row, theirs, kept) {
  const { field, value } = one;
  const name = freshId("choice");
  const side = (text, shown, mine) => h("label", { class: "side" },
    h("input", { type: "radio", name, checked: mine, onchange: () => (mine ? kept.add(one) : kept.delete(one)) }),
    h("span", {}, h("strong", {}, text), nodeOf(field, shown)));
  return h("fieldset", { class: "clash" }, h("legend", {}, field.label),
    side("Votre valeur", value, true), side("L’autre valeur", theirs[field.name], false),
    h("p", { class: "quiet" }, "Avant : ", nodeOf(field, row[field.name])));
}
