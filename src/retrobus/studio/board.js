/** The dashboard: whether the service is well, what it holds, and what happens, as it happens. */

import { get } from "./api.js";
import { definitions, fillAll, h, template, phrase } from "./h.js";
import { Recent } from "./recent.js";
import { RESOURCES, wordsOf } from "./resources.js";
import { link } from "./router.js";
import { isAdmin } from "./session.js";
import { counted, instant } from "./show.js";

const AGAIN = 20_000; // milliseconds between two looks at the status
const FIGURES = [...RESOURCES, { page: "suppressions", path: "/api/deletions", one: "suppression" }];

/** The page. */
export async function boardPage({ signal }) {
  const board = template("board");
  const recent = new Recent(signal);
  let before = "";
  const look = async () => {
    const { data } = await get("/api/status");
    const now = JSON.stringify({ ...data, time: null, snapshot: null, changes: null, cursor: null });
    if (now !== before) fillAll(board, contents(data)); // what is the same keeps its focus
    before = now;
    recent.begin(data);
  };
  await look();
  const timer = setInterval(() => document.hidden || look().catch(() => {}), AGAIN);
  signal.addEventListener("abort", () => clearInterval(timer));
  return [board.node, recent.node];
}

function contents({ ready, reason, database, mode, meaning, revision, version, ...data }) {
  const { toggles, backups, journal, checks, counts, conflicts } = data;
  const [well, bad] = [true, false].map((fine) => checks.filter(({ level }) => (level === "ok") === fine));
  const on = Object.keys(toggles).filter((name) => toggles[name]);
  return {
    verdict: ready ? "Le service répond." : h("span", { class: "error" }, "Le service ne peut pas répondre."),
    bad: bad.map(check),
    well: `${counted(well.length, "point")} en ordre`,
    points: definitions(well.map(({ name, found }) => [name, found])),
    counts: FIGURES.map((resource) => figure(resource, counts)),
    mode: wordsOf("Status", "mode")[mode],
    database: database === "up" ? "répond" : `ne répond pas : ${reason}`,
    toggles: on.join(", ") || "toutes désactivées",
    durability: meaning,
    schema: revision.found ?? "inconnu",
    version,
    backup: backup(backups.newest),
    schedule: backups.schedule.join(", ") || "aucun",
    journal: journal.entries ? `${counted(journal.entries, "écriture")} pas encore dans PostgreSQL` : "vide",
    conflicts: waiting(conflicts),
  };
}

function check({ level, name, found, cure }) {
  const what = h("strong", {}, `${phrase(level)} – ${name} : `);
  return h("li", { class: level }, what, found, cure && h("span", { class: "quiet" }, ` → ${cure}`));
}

function figure({ page, path, one }, counts) {
  const [count, ...words] = counts ? counted(counts[path.split("/").pop()], one).split(" ") : ["?", `${one}s`];
  return h("li", {}, h("a", { href: link(page) }, h("strong", {}, count), ` ${words.join(" ")}`));
}

function backup(newest) {
  if (!newest) return h("span", { class: "error" }, "aucun");
  const read = newest.verifiedAt ? `relu en entier le ${instant(newest.verifiedAt)}` : "jamais relu";
  return `${instant(newest.timestamp)}, ${read}`;
}

function waiting(conflicts) {
  if (!conflicts) return conflicts === null ? "inconnus" : "aucun";
  const said = `${counted(conflicts, "conflit")} à trancher`;
  return isAdmin() ? h("a", { href: link("conflits") }, said) : said;
}
