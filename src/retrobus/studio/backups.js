/** The page of backups: what there is, one made now, and the command of a restore. */

import { get, send } from "./api.js";
import { ask, button, fill, h, table, template } from "./h.js";
import { attempt, tell } from "./notices.js";
import { command } from "./told.js";
import { bytes, counted, instant } from "./words.js";

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
  const { node, list, make, state } = template("backups", { make: press });
  const draw = async () => {
    const { backups } = (await get("/api/backups")).data;
    fill(list, backups.length ? table("Backups", COLUMNS, backups) : h("p", {}, "Aucun backup."));
  };
  const backUp = async () => {
    const { data } = await send("POST", "/api/backups");
    const text = `Backup ${data.name} fait : ${counted(data.rows, "ligne")}, ${bytes(data.size)}`;
    if (data.trouble) tell(`${text}, mais ${data.trouble}`, "warning");
    else tell(`${text}, relu en entier.`);
    await draw();
  };
  async function press() {
    state.textContent = "Sauvegarde en cours…";
    await attempt(backUp, make);
    state.textContent = "";
  }
  await draw();
  return node;
}

function contents({ rows, deletions }) {
  return [counted(rows ?? 0, "ligne"), deletions > 0 && `, ${counted(deletions, "suppression")}`];
}

function marks({ kind, selected, present }) {
  const said = {
    "de sécurité": kind === "safety", "choisi pour le démarrage": selected, "absent du disque": !present,
  };
  return Object.keys(said).filter((text) => said[text]).map((text) => h("span", { class: "mark" }, text));
}

function way({ name, restore }) {
  const open = () => ask("restore", { name, command: command(restore) });
  return button("Restaurer…", open, { "aria-label": `Restaurer ${name}…` });
}
