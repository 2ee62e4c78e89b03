/** The page of conflicts: what memory took in an outage and PostgreSQL could not, and the decision about each. */

import { newKey, rowsOf, send } from "./api.js";
import { ask, attempt, button, fill, h, table, tell, template } from "./h.js";
import { fieldsOf, KINDS, wordsOf } from "./resources.js";
import { link, replace } from "./router.js";
import { byWhom, counted, instant, rowNamed, textOf } from "./show.js";

const DECISIONS = { apply: "Appliquer", discard: "Abandonner" };
const DONE = { apply: "appliqué", applied: "appliqué", discard: "abandonné", discarded: "abandonné" };

/** The page; with `tous=1` the decided conflicts too. */
export async function conflictsPage({ query }) {
  const { node, all, status, list } = template("conflicts");
  const draw = async () => {
    const { rows } = await rowsOf("/api/conflicts", { all: all.checked });
    const open = rows.filter(({ resolution }) => resolution === null).length;
    status.textContent = open ? `${counted(open, "conflit")} à trancher` : "Aucun conflit à trancher.";
    fill(list, rows.map((one) => card(one, () => attempt(draw))));
  };
  all.checked = query.has("tous");
  all.addEventListener("change", () => {
    replace(link("conflits", [], { tous: all.checked && "1" }));
    attempt(draw);
  });
  await draw();
  return node;
}

function card(one, redraw) {
  const title = `N° ${one.number} – ${wordsOf("Conflict", "operation")[one.operation]} : ${rowNamed(one)}`;
  const buttons = Object.entries(DECISIONS).map(([name, verb]) =>
    button(`${verb}…`, () => decide(one, name, redraw), { "aria-label": `${verb} le conflit ${one.number}…` }));
  const end = one.resolution === null
    ? h("div", { class: "actions" }, buttons)
    : h("p", { class: "quiet" }, `${DONE[one.resolution]} le ${instant(one.resolvedAt)}`);
  return h("section", { class: "card" }, h("h2", {}, title), h("p", {}, about(one)), fields(one), end);
}

function about({ at, member, names, reason, postgres }) {
  const by = (id) => ` ${byWhom(id, names[id])}`.trimEnd();
  const today = postgres
    ? `ligne d’aujourd’hui modifiée le ${instant(postgres.updatedAt)}${by(postgres.updatedBy)}`
    : "aucune ligne aujourd’hui";
  return `Écriture du ${instant(at)}${by(member)} ; ${reason} ; ${today}.`;
}

/** Both rows, field by field: what the journal wants, what is there today, and what the client had read. */
function fields({ resource, fields: differing }) {
  const rows = Object.entries(differing);
  const labels = Object.fromEntries(fieldsOf(KINDS[resource]).map(({ name, label }) => [name, label]));
  if (!rows.length) return h("p", { class: "quiet" }, "Aucun champ ne diffère.");
  return table("Champ par champ", [
    { label: "Champ", leads: true, cell: ([name]) => labels[name] ?? name },
    { label: "Journal", cell: ([, { journal }]) => shown(journal) },
    { label: "Aujourd’hui", cell: ([, { postgres }]) => shown(postgres) },
    { label: "Lu avant", cell: ([, { base }]) => (base === undefined ? "?" : shown(base)) },
  ], rows);
}

const shown = (value) => (value === null
  ? h("span", { class: "quiet" }, "rien")
  : h("span", { class: "text" }, textOf({ kind: typeof value === "boolean" ? "flag" : "text" }, value)));

async function decide(one, name, redraw) {
  const key = newKey(); // a repeat of the same decision has one effect
  const agreed = await ask(name, { number: one.number, fields: fields(one) });
  if (!agreed) return;
  await attempt(async () => {
    await send("POST", `/api/conflicts/${one.number}/${name}`, undefined, { key });
    tell(`Conflit ${one.number} ${DONE[name]}.`);
  });
  await redraw();
}
