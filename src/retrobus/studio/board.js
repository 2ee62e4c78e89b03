/** The dashboard: whether the service is well, what it holds, and what happens, as it happens. */

import { get } from "./api.js";
import { definitions, fillAll, h, template } from "./h.js";
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
const FIGURES = [...RESOURCES, { page: "suppressions", path: "/api/deletions", one: "suppression" }];

/** The page. */
export async function boardPage() {
  const board = template("board");
  const recent = new Recent();
  const signal = whileShown(board.node);
  let before = "";
  const look = async () => {
    const { data } = await get("/api/status");
    const now = JSON.stringify({ ...data, time: null, snapshot: null, changes: null, cursor: null });
    if (now !== before) draw(board, data); // what is the same keeps its focus
    before = now;
    if (data.cursor) recent.begin(data, signal);
    else recent.away();
  };
  await look();
  const timer = setInterval(() => document.hidden || look().catch(() => {}), AGAIN);
  signal.addEventListener("abort", () => clearInterval(timer));
  return [board.node, recent.node];
}

function draw(board, data) {
  const { database, toggles, backups, journal, checks, counts } = data;
  const [well, bad] = [true, false].map((fine) => checks.filter(({ level }) => (level === "ok") === fine));
  const on = Object.keys(toggles).filter((name) => toggles[name]);
  fillAll(board, {
    verdict: verdict(data),
    bad: bad.map(check),
    well: `${counted(well.length, "point")} en ordre`,
    points: definitions(well.map(({ name, found }) => [name, found])),
    counts: FIGURES.map((resource) => figure(resource, counts)),
    mode: MODES[data.mode],
    database: database === "up" ? "répond" : `ne répond pas : ${data.reason}`,
    toggles: on.join(", ") || "toutes désactivées",
    durability: durable(data.durability),
    schema: data.revision.found ?? "inconnu",
    version: data.version,
    backup: backup(backups.newest),
    schedule: backups.schedule.join(", ") || "aucun",
    journal: journal.entries ? `${counted(journal.entries, "écriture")} pas encore dans PostgreSQL` : "vide",
    conflicts: conflicts(data.conflicts),
  });
}

function verdict({ ready, reason }) {
  if (ready) return "Le service répond.";
  return h("span", { class: "error" }, `Le service ne peut pas répondre${reason ? ` : ${reason}` : ""}.`);
}

function check({ level, name, found, cure }) {
  const what = h("strong", {}, `${LEVELS[level]} – ${name} : `);
  return h("li", { class: level }, what, found, cure && h("span", { class: "quiet" }, ` → ${cure}`));
}

function figure({ page, path, one }, counts) {
  const [count, ...words] = counts ? counted(counts[path.split("/").pop()], one).split(" ") : ["?", `${one}s`];
  return h("li", {}, h("a", { href: link(page) }, h("strong", {}, count), ` ${words.join(" ")}`));
}

function durable({ fsync, synchronous_commit: commit, standbys, reason }) {
  if (!fsync) return "inconnue";
  if (reason) return reason;
  if (fsync !== "on") return `peut se perdre avec toute la base (fsync=${fsync})`;
  if (commit === "off") return "peut se perdre dans une panne (synchronous_commit=off)";
  if (standbys && commit !== "local") return `est aussi sur une réplique (${standbys})`;
  return "survit à une panne du serveur, non à la perte de son disque";
}

/** A text that leads an ADMIN to a page of theirs. */
const toAdmins = (page, text) => (isAdmin() ? h("a", { href: link(page) }, text) : text);

function backup(newest) {
  if (!newest) return h("span", { class: "error" }, "aucun");
  const read = newest.verifiedAt ? `, relu en entier le ${instant(newest.verifiedAt)}` : ", jamais relu";
  return [toAdmins("sauvegardes", instant(newest.timestamp)), read];
}

function conflicts(open) {
  if (!open) return open === null ? "inconnus" : "aucun";
  return toAdmins("conflits", `${counted(open, "conflit")} à trancher`);
}
