/** The dashboard: whether the service is well, what it holds, and what happens, as it happens. */

import { get } from "./api.js";
import { h } from "./h.js";
import { Recent } from "./recent.js";
import { RESOURCES } from "./resources.js";
import { link } from "./router.js";
import { isAdmin } from "./session.js";
import { whileShown } from "./stream.js";
import { counted, instant } from "./words.js";

const AGAIN = 20_000; // milliseconds between two looks at the status
const MODES = {
  strict: "strict : PostgreSQL seul répond", fallback: "avec mémoire : elle répond pendant une panne",
  memory: "en mémoire, sans base",
};
const LEVELS = { warning: "À voir", error: "À corriger" };

/** The page. */
export async function boardPage() {
  const state = h("div", { class: "board" });
  const recent = new Recent();
  const signal = whileShown(state);
  let before = "";
  const look = async () => {
    const { data } = await get("/api/status");
    const now = JSON.stringify({ ...data, time: null, snapshot: null, changes: null, cursor: null });
    if (now !== before) state.replaceChildren(...sections(data)); // what is the same keeps its focus
    before = now;
    if (data.cursor) recent.begin(data, signal);
    else recent.away();
  };
  await look();
  const timer = setInterval(() => document.hidden || look().catch(() => {}), AGAIN);
  signal.addEventListener("abort", () => clearInterval(timer));
  return [state, recent.node];
}

function sections(data) {
  const { database, toggles, backups, journal } = data;
  const on = Object.keys(toggles).filter((name) => toggles[name]);
  const waiting = `${counted(journal.entries, "écriture")} pas encore dans PostgreSQL`;
  return [
    card("État", verdict(data)),
    card("Contenu", h("ul", { class: "counts" }, counts(data))),
    card("Service", values({
      Mode: MODES[data.mode],
      PostgreSQL: database === "up" ? "répond" : `ne répond pas : ${data.reason}`,
      Bascules: on.join(", ") || "toutes désactivées",
      "Une écriture acquittée": durable(data.durability),
      Schéma: data.revision.found ?? "inconnu",
      Version: data.version,
    })),
    card("Sauvegardes et journal", values({
      "Dernier backup": backup(backups.newest),
      "Backups automatiques": backups.schedule.join(", ") || "aucun",
      Journal: journal.entries ? waiting : "vide",
      Conflits: conflicts(data.conflicts),
    })),
  ];
}

const card = (title, ...content) => h("section", { class: "card" }, h("h2", {}, title), content);
const values = (named) => h("dl", { class: "values" }, Object.entries(named).map(([name, value]) =>
  h("div", {}, h("dt", {}, name), h("dd", {}, value))));

/** One sentence, what is to be cured, and the rest folded away. */
function verdict({ ready, reason, checks }) {
  const bad = checks.filter(({ level }) => level !== "ok");
  const well = checks.filter(({ level }) => level === "ok");
  const said = ready ? "Le service répond." : `Le service ne peut pas répondre${reason ? ` : ${reason}` : ""}.`;
  return [
    h("p", { class: ready ? "" : "error" }, said),
    h("ul", { class: "checks" }, bad.map(({ level, name, found, cure }) => h("li", { class: level },
      h("strong", {}, `${LEVELS[level]} – ${name} : `), found, cure && h("span", { class: "quiet" }, ` → ${cure}`)))),
    h("details", {}, h("summary", {}, `${counted(well.length, "point")} en ordre`),
      values(Object.fromEntries(well.map(({ name, found }) => [name, found])))),
  ];
}

function counts({ counts: found }) {
  const pages = RESOURCES.map(({ page, path, one }) => [page, path.split("/").pop(), one]);
  return [...pages, ["suppressions", "deletions", "suppression"]].map(([page, name, one]) => {
    const [count, ...words] = found ? counted(found[name], one).split(" ") : ["?", `${one}s`];
    return h("li", {}, h("a", { href: link(page) }, h("strong", {}, count), ` ${words.join(" ")}`));
  });
}

function durable({ fsync, synchronous_commit: commit, standbys, reason }) {
  if (!fsync) return "inconnue";
  if (reason) return reason;
  if (fsync !== "on") return `peut se perdre avec toute la base (fsync=${fsync})`;
  if (commit === "off") return "peut se perdre dans une panne (synchronous_commit=off)";
  if (standbys && commit !== "local") return `est aussi sur une réplique (${standbys})`;
  return "survit à une panne du serveur, non à la perte de son disque";
}

function backup(newest) {
  if (!newest) return h("span", { class: "error" }, "aucun");
  const at = instant(newest.timestamp);
  const read = newest.verifiedAt ? `, relu en entier le ${instant(newest.verifiedAt)}` : ", jamais relu";
  return h("span", {}, isAdmin() ? h("a", { href: link("sauvegardes") }, at) : at, read);
}

function conflicts(open) {
  if (!open) return open === null ? "inconnus" : "aucun";
  const text = `${counted(open, "conflit")} à trancher`;
  return isAdmin() ? h("a", { href: link("conflits") }, text) : text;
}
