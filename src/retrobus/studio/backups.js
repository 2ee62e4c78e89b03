/** The page of backups: what there is, one made now, and the command of a restore. */

import { get, send } from "./api.js";
import { ask, attempt, button, fill, h, table, tell, template } from "./h.js";
import { bytes, command, counted, instant } from "./show.js";

const mark = (said) => h("span", { class: "mark" }, said);
const marks = ({ kind, selected, present }) => [
  kind === "safety" && mark("de sécurité"),
  selected && mark("choisi pour le démarrage"),
  !present && mark("absent du disque"),
];
const contents = ({ rows, deletions }) =>
  [counted(rows ?? 0, "ligne"), deletions > 0 && `, ${counted(deletions, "suppression")}`];

const COLUMNS = [
  { label: "Fait le", leads: true, cell: (one) => [one.timestamp ? instant(one.timestamp) : one.name, marks(one)] },
  { label: "Contenu", cell: contents },
  { label: "Taille", cell: ({ size }) => size !== null && bytes(size) },
  { label: "Relu en entier le", cell: ({ verifiedAt }) => (verifiedAt ? instant(verifiedAt) : "jamais") },
  { label: "Note", cell: ({ note }) => note },
  { label: "Restauration", cell: (one) => one.present && way(one) },
];

/** The page. */
export async function backupsPage() {
  const { node, list, make, state } = template("backups", {
    make: () => attempt(backUp, make).then(() => fill(state)),
  });
  const draw = async () => {
    const { backups } = (await get("/api/backups")).data;
    fill(list, backups.length ? table("Backups", COLUMNS, backups) : h("p", {}, "Aucun backup."));
  };
  const backUp = async () => {
    fill(state, "Sauvegarde en cours…");
    const { name, rows, size, trouble } = (await send("POST", "/api/backups")).data;
    const made = `Backup ${name} fait : ${counted(rows, "ligne")}, ${bytes(size)}`;
    tell(`${made}, ${trouble ? `mais ${trouble}` : "relu en entier."}`, trouble ? "warning" : "done");
    await draw();
  };
  await draw();
  return node;
}

const way = ({ name, restore }) => button(
  "Restaurer…", () => ask("restore", { name, command: command(restore) }), { "aria-label": `Restaurer ${name}…` });
