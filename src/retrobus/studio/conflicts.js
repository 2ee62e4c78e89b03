/** The page of conflicts: what memory took in an outage and PostgreSQL could not, and the decision about each. */

import { rowsOf, send } from "./api.js";
import { ask, attempt, button, fill, h, table, tell, template } from "./h.js";
import { fieldsOf, KINDS, wordsOf } from "./resources.js";
import { link, replace } from "./router.js";
import { byWhom, counted, instant, rowNamed, textOf } from "./show.js";

const DECISIONS = { apply: "Appliquer", discard: "Abandonner" };
const done = ({ resolution }) => wordsOf("Conflict", "resolution")[resolution];

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
    : h("p", { class: "quiet" }, `Décision : ${done(one)} le ${dated(one.resolvedAt, one.resolvedBy, one)}`);
  return h("section", { class: "card" }, h("h2", {}, title), h("p", {}, about(one)), fields(one), end);
}

const dated = (at, id, { names }) => `${instant(at)} ${byWhom(id, names[id])}`.trimEnd();

function about(one) {
  const today = one.postgres
    ? `ligne d’aujourd’hui modifiée le ${dated(one.postgres.updatedAt, one.postgres.updatedBy, one)}`
    : "aucune ligne aujourd’hui";
  return `Écriture du ${dated(one.at, one.member, one)} ; ${one.reason} ; ${today}.`;
}

/** Both rows, field by field: what the journal wants, what is there today, and what the client had read. */
function fields({ resource, names, fields: differing }) {
  const rows = fieldsOf(KINDS[resource]).filter(({ name }) => name in differing);
  if (!rows.length) return h("p", { class: "quiet" }, "Aucun champ ne diffère.");
  const column = (label, state) => ({ label, cell: (field) => shown(field, differing[field.name][state], names) });
  return table("Champ par champ", [
    { label: "Champ", leads: true, cell: ({ label }) => label },
    column("Journal", "journal"), column("Aujourd’hui", "postgres"), column("Lu avant", "base"),
  ], rows);
}

function shown(field, value, names) {
  if (value === undefined) return "?";
  const said = field.kind === "author" ? byWhom(value, names[value]) : textOf(field, value);
  return said ? h("span", { class: "text" }, said) : h("span", { class: "quiet" }, "rien");
}

async function decide(one, name, redraw) {
  const agreed = await ask(name, { number: one.number, fields: fields(one) });
  if (!agreed) return;
  await attempt(async () => {
    const { data } = await send("POST", `/api/conflicts/${one.number}/${name}`);
    tell(`Conflit ${data.number} ${done(data)}.`);
  });
  await redraw();
}
