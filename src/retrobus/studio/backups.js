/** The page of backups: what there is, one made now, and the command of a restore. */

import { get, send } from "./api.js";
import { button, h } from "./h.js";
import { attempt, tell } from "./notices.js";
import { command, show, table } from "./told.js";
import { bytes, counted, instant } from "./words.js";

const HEADINGS = ["Fait le", "Contenu", "Taille", "Relu en entier le", "Note", "Restauration"];
const RESTORE = "Une restauration se fait sur le serveur. Cette commande montre ce qui changerait et n’écrit rien ;"
  + " avec --apply, elle demande, fait un backup de sécurité, puis restaure en une fois.";

/** The page. */
export async function backupsPage() {
  const list = h("div");
  const state = h("span", { role: "status", class: "quiet" });
  const draw = async () => list.replaceChildren(listed((await get("/api/backups")).data.backups));
  const make = async (event) => {
    event.target.disabled = true;
    state.textContent = "Sauvegarde en cours…";
    await attempt(async () => {
      const { data } = await send("POST", "/api/backups");
      const text = `Backup ${data.name} fait : ${counted(data.rows, "ligne")}, ${bytes(data.size)}`;
      if (data.trouble) tell(`${text}, mais ${data.trouble}`, "warning");
      else tell(`${text}, relu en entier.`);
      await draw();
    });
    state.textContent = "";
    event.target.disabled = false;
  };
  await draw();
  return [h("div", { class: "actions" }, button("Sauvegarder maintenant", make, { class: "primary" }), state), list];
}

function listed(backups) {
  if (!backups.length) return h("p", {}, "Aucun backup.");
  return table("Backups", HEADINGS, backups.map((one) => {
    const restore = () => show(`Restaurer ${one.name}`, [h("p", {}, RESTORE), command(one.restore)]);
    return [
      [one.timestamp ? instant(one.timestamp) : one.name, marks(one).map((text) => h("span", { class: "mark" }, text))],
      [counted(one.rows ?? 0, "ligne"), one.deletions > 0 && `, ${counted(one.deletions, "suppression")}`],
      one.size !== null && bytes(one.size),
      one.verifiedAt ? instant(one.verifiedAt) : h("span", { class: "quiet" }, "jamais"),
      one.note,
      one.present && button("Restaurer…", restore, { "aria-label": `Restaurer ${one.name}…` }),
    ];
  }));
}

const marks = ({ kind, selected, present }) => [
  kind === "safety" && "de sécurité", selected && "choisi pour le démarrage", !present && "absent du disque",
].filter(Boolean);
