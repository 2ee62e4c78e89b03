/** The page of conflicts: what memory took in an outage and PostgreSQL could not, and the decision about each. */

import { get, newKey, send } from "./api.js";
import { dialog } from "./dialog.js";
import { button, h } from "./h.js";
import { attempt, tell } from "./notices.js";
import { link, replace } from "./router.js";
import { fieldsOf, readReference } from "./schema.js";
import { AUTHORS, kindOf, rowNamed, table } from "./told.js";
import { counted, instant, word } from "./words.js";

const WHY = "Pendant une panne, le service a accepté ces écritures en mémoire ; au retour de PostgreSQL, la ligne avait"
  + " changé, ou une règle s’y opposait. Chacune attend une décision.";
const OPERATIONS = { insert: "Création", update: "Modification", delete: "Suppression" };
const DECISIONS = {
  apply: {
    verb: "Appliquer", done: "appliqué", look: "primary",
    effect: "La ligne prend les valeurs du journal, quoi qu’elle contienne aujourd’hui. Ce qui est remplacé est gardé :"
      + " retrobus resync --restore le remet.",
  },
  discard: {
    verb: "Abandonner", done: "abandonné", look: "danger",
    effect: "La ligne reste comme elle est aujourd’hui. L’écriture reste lisible parmi les conflits tranchés.",
  },
};
const DECIDED = { applied: DECISIONS.apply, discarded: DECISIONS.discard };

/** The page; with `tous=1` the decided conflicts too. */
export async function conflictsPage(query) {
  await readReference();
  let all = query.get("tous") ?? "";
  const list = h("div", { class: "stack" });
  const draw = async () => list.replaceChildren(...(await cards(all, () => attempt(draw))));
  const onchange = (event) => {
    all = event.target.checked ? "1" : "";
    replace(link("conflits", [], { tous: all }));
    attempt(draw);
  };
  await draw();
  const box = h("input", { type: "checkbox", checked: all === "1", onchange });
  return [h("p", {}, WHY), h("label", { class: "check" }, box, "Montrer aussi les conflits tranchés"), list];
}

async function cards(all, redraw) {
  const found = [];
  let cursor = "";
  do {
    const { data } = await get(`/api/conflicts?all=${all === "1"}${cursor && `&cursor=${cursor}`}`);
    found.push(...data.conflicts);
    cursor = data.nextCursor ?? "";
  } while (cursor);
  const open = found.filter(({ resolution }) => resolution === null).length;
  const status = open ? `${counted(open, "conflit")} à trancher` : "Aucun conflit à trancher.";
  return [h("p", { role: "status" }, status), ...found.map((one) => card(one, redraw))];
}

function card(one, redraw) {
  const title = `N° ${one.number} – ${OPERATIONS[one.operation]} : ${rowNamed(one.resource, one.key)}`;
  const buttons = Object.entries(DECISIONS).map(([name, { verb }]) =>
    button(`${verb}…`, () => decide(one, name, redraw), { "aria-label": `${verb} le conflit ${one.number}…` }));
  const end = one.resolution === null
    ? h("div", { class: "actions" }, buttons)
    : h("p", { class: "quiet" }, `${DECIDED[one.resolution].done} le ${instant(one.resolvedAt)}`);
  return h("section", { class: "card" }, h("h2", {}, title), h("p", {}, about(one)), fields(one), end);
}

function about({ at, member, names, reason, postgres }) {
  const by = (id) => (id ? ` ${AUTHORS[id] ?? `par ${names[id] ?? id}`}` : "");
  const today = postgres
    ? `ligne d’aujourd’hui modifiée le ${instant(postgres.updatedAt)}${by(postgres.updatedBy)}`
    : "aucune ligne aujourd’hui";
  return `Écriture du ${instant(at)}${by(member)} ; ${reason} ; ${today}.`;
}

/** Both rows, field by field: what the journal wants, what is there today, and what the client had read. */
function fields({ resource, fields: differing }) {
  const labels = Object.fromEntries(fieldsOf(kindOf(resource)).map(({ name, label }) => [name, label]));
  const rows = Object.entries(differing).map(([name, { journal, postgres, base }]) =>
    [labels[name] ?? name, shown(journal), shown(postgres), base === undefined ? "?" : shown(base)]);
  if (!rows.length) return h("p", { class: "quiet" }, "Aucun champ ne diffère.");
  return table("Champ par champ", ["Champ", "Journal", "Aujourd’hui", "Lu avant"], rows);
}

function shown(value) {
  if (value === null) return h("span", { class: "quiet" }, "rien");
  return h("span", { class: "text" }, typeof value === "boolean" ? word(value) : String(value));
}

async function decide(one, name, redraw) {
  const { verb, done, effect, look } = DECISIONS[name];
  const key = newKey(); // a repeat of the same decision has one effect
  const agreed = await dialog(`${verb} le conflit ${one.number} ?`, (answer) => [
    h("p", {}, effect), fields(one),
    h("div", { class: "actions" }, button("Annuler", () => answer(null), { autofocus: true }),
      button(verb, () => answer(true), { class: look })),
  ], { class: "broad" });
  if (!agreed) return;
  await attempt(async () => {
    await send("POST", `/api/conflicts/${one.number}/${name}`, undefined, { key });
    tell(`Conflit ${one.number} ${done}.`);
  });
  await redraw();
}
