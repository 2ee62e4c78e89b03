/** The dialog after a 412: somebody else has changed the row, and the person chooses field by field. */

import { dialog } from "./dialog.js";
import { button, freshId, h } from "./h.js";
import { nodeOf } from "./show.js";
import { instant } from "./words.js";

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);

/**
 * Those of `mine` (changed fields with their values) that are to be saved; null if the person goes back to the form.
 * `row` is the row as it was read, `theirs` as it is now.
 */
export function merged(fields, row, theirs, mine) {
  const kept = new Set(mine);
  const touched = fields.filter(({ name, readOnly }) => !readOnly && !same(row[name], theirs[name]));
  const [clashing, quiet] = [true, false].map((both) => mine.filter(({ field }) => touched.includes(field) === both));
  const others = touched.filter((field) => mine.every((one) => one.field !== field));
  const when = theirs.updatedAt ? ` le ${instant(theirs.updatedAt)}` : "";
  const own = quiet.map(({ field }) => field);
  const choose = (one) => (keep) => (keep ? kept.add(one) : kept.delete(one));
  return dialog("Cette ligne a changé entre-temps", (answer) => [
    h("p", {}, `Elle a été modifiée${when}, après que vous l’avez lue. Rien de vous n’est encore enregistré.`),
    clashing.map((one) => choice(one, row, theirs, choose(one))),
    own.length > 0 && h("p", {}, `Changé par vous seul, à enregistrer : ${listed(own)}.`),
    others.length > 0 && h("p", {}, `Changé par l’autre seul, à garder : ${listed(others)}.`),
    h("div", { class: "actions" },
      button("Revenir au formulaire", () => answer(null)),
      button("Enregistrer ces choix", () => answer([...kept]), { class: "primary" })),
  ]);
}

const listed = (fields) => fields.map(({ label }) => label).join(", ");

/** Mine or theirs of one field, and what it was before. */
function choice({ field, value }, row, theirs, choose) {
  const name = freshId("choice");
  const side = (text, shown, mine) => h("label", { class: "side" },
    h("input", { type: "radio", name, checked: mine, onchange: () => choose(mine) }),
    h("span", {}, h("strong", {}, text), nodeOf(field, shown)));
  return h("fieldset", { class: "clash" }, h("legend", {}, field.label),
    side("Votre valeur", value, true), side("L’autre valeur", theirs[field.name], false),
    h("p", { class: "quiet" }, "Avant : ", nodeOf(field, row[field.name])));
}
