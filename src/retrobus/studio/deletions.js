/** The page of deletions: what was deleted, when, by whom and why, and the way back from a backup. */

import { get } from "./api.js";
import { button, h } from "./h.js";
import { labelled } from "./list.js";
import { attempt } from "./notices.js";
import { link, replace } from "./router.js";
import { CAUSES, command, deleter, kindOf, rowLink, rowNamed, show, table } from "./told.js";
import { instant } from "./words.js";

const PAGE = 50;
const HEADINGS = ["Quoi", "Quand", "Supprimé", "Cause", "Retour"];
const LISTS = Object.fromEntries(["Vehicle", "Event", "Member"].map((name) => [name, kindOf(name).title]));
const HELD = "Ces backups contiennent encore la ligne. La commande se tape sur le serveur : elle montre d’abord ce"
  + " qu’elle va faire, demande, et ne touche aucune autre ligne.";

/** The page; `query` has the filters of the route. */
export async function deletionsPage(query) {
  const asked = Object.fromEntries(query);
  const list = h("div", { class: "stack" });
  const draw = async () => list.replaceChildren(...(await listed(asked)));
  const ask = (name) => (event) => {
    asked[name] = event.target.value.trim();
    replace(link("suppressions", [], asked));
    return attempt(draw);
  };
  await draw();
  return [tools(asked, ask), list];
}

async function listed(asked) {
  const found = [];
  const place = h("div");
  const status = h("p", { role: "status", class: "quiet" });
  const more = button("Afficher la suite", () => attempt(next));
  let cursor = null;
  const next = async () => {
    const wanted = Object.entries({ ...asked, limit: PAGE, cursor }).filter(([, value]) => value);
    const { data } = await get(`/api/deletions?${new URLSearchParams(wanted)}`);
    found.push(...data.deletions);
    cursor = data.nextCursor;
    more.hidden = !cursor;
    status.textContent = found.length ? "" : "Aucune suppression ici.";
    place.replaceChildren(found.length ? table("Suppressions", HEADINGS, found.map(cells)) : "");
  };
  await next();
  return [status, place, more];
}

function cells(one) {
  const who = h("span", {}, "…");
  deleter(one).then((text) => (who.textContent = text));
  const name = rowNamed(one.resource, one.key);
  const open = async () => show(`Retrouver : ${name}`, wayBack((await get(`/api/deletions/${one.version}`)).data));
  const back = button("Retrouver…", () => attempt(open), { "aria-label": `Retrouver ${name}…` });
  return [rowLink(one), instant(one.deletedAt), who, CAUSES[one.cause], back];
}

/** What one can do to bring the row back. */
function wayBack(one) {
  const { erased, present, backups, unread } = one;
  const held = backups.map(({ name, timestamp, restore }) => h("li", {},
    h("p", {}, timestamp && `${instant(timestamp)} – `, name), restore && command(restore)));
  const said = () => {
    if (erased) return "Ce membre a été effacé définitivement : rien ne le ramène.";
    if (present) return ["Une ligne porte de nouveau cette clé : ", rowLink(one, true)];
    if (held.length) return HELD;
    return `Aucun backup${unread.length ? " lu" : ""} ne contient cette ligne.`;
  };
  return [
    h("p", {}, said()),
    h("ul", { class: "stack plainlist" }, held),
    h("ul", {}, unread.map(({ name, reason }) => h("li", {}, `${name} n’a pas été lu : ${reason}`))),
  ];
}

function tools(asked, ask) {
  const choice = (name, choices) => h("select", { onchange: ask(name) }, h("option", { value: "" }, "Toutes"),
    Object.entries(choices).map(([value, text]) => h("option", { value, selected: value === asked[name] }, text)));
  const text = (name, type) => h("input", { type, value: asked[name], onchange: ask(name) });
  return h("search", { class: "tools" },
    labelled("Liste", choice("resource", LISTS)), labelled("Clé (parc, id)", text("key", "search")),
    labelled("Cause", choice("cause", CAUSES)), labelled("Depuis le", text("since", "date")));
}
