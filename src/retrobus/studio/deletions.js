/** The page of deletions: what was deleted, when, by whom and why, and the way back from a backup. */

import { get } from "./api.js";
import { ask, attempt, button, h, phrase } from "./h.js";
import { Listing } from "./list.js";
import { wordsOf } from "./resources.js";
import { byWhom, command, instant, rowLink, rowNamed } from "./show.js";

const causeOf = ({ cause }) => wordsOf("Deletion", "cause")[cause];

/** Who made a deletion; an SQL client and a clean-up have no name. */
export const deleter = (one) => byWhom(one.deletedBy, one.deletedByName) || causeOf(one);

const COLUMNS = [
  { label: "Quoi", name: "key", leads: true, cell: (one) => rowLink(one) },
  { label: "Quand", name: "deletedAt", cell: ({ deletedAt }) => instant(deletedAt) },
  { label: "Supprimé", name: "deletedByName", cell: deleter },
  { label: "Cause", name: "cause", cell: causeOf },
  { label: "Retour", cell: (one) =>
    button("Retrouver…", () => attempt(() => wayBack(one)), { "aria-label": `Retrouver ${rowNamed(one)}…` }) },
];

const SOURCE = {
  page: "suppressions", title: "Suppressions", one: "suppression", path: "/api/deletions", columns: COLUMNS,
  textOf: (one) => [rowNamed(one), instant(one.deletedAt), deleter(one), causeOf(one)].join(" "),
};

/** The page; the query has the filters of the route, a search and an order. */
export const deletionsPage = ({ query }) => new Listing(SOURCE, query).nodes();

/** Shows what one can do to bring the row back. */
async function wayBack({ version }) {
  const { data } = await get(`/api/deletions/${version}`);
  const { erased, present, backups, unread } = data;
  const said = () => {
    if (erased) return phrase("erased");
    if (present) return ["Une ligne porte de nouveau cette clé : ", rowLink(data, true)];
    return backups.length ? phrase("held") : `Aucun backup${unread.length ? " lu" : ""} ne contient cette ligne.`;
  };
  await ask("way-back", {
    name: rowNamed(data),
    said: said(),
    held: backups.map(({ name, timestamp, restore }) => h("li", {},
      h("p", {}, timestamp && `${instant(timestamp)} – `, name), restore && command(restore))),
    unread: unread.map(({ name, reason }) => h("li", {}, `${name} n’a pas été lu : ${reason}`)),
  });
}
