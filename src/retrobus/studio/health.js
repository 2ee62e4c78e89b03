/** The banner on every page while answers come from memory, or while the service cannot answer. */

import { address, hooks } from "./api.js";
import { instant } from "./show.js";

const CALM = 15_000; // milliseconds between two looks at /ready while all is well
const ALERT = 3_000; // and while it is not

const banner = document.querySelector(".banner");
let timer = null;

/** Looks at the service from now on. */
export function watchHealth() {
  hooks.answered = ({ source, problem }) => {
    const bad = problem ? problem.status === 0 || problem.status > 500 : source === "memory" || source === "token";
    if (bad === banner.hidden && (bad || source === "postgres")) look();
  };
  document.addEventListener("visibilitychange", () => document.hidden || look());
  look();
}

async function look() {
  const asked = fetch(address("/ready"), { cache: "no-store", signal: AbortSignal.timeout(10_000) });
  const text = sentence(await asked.then((response) => response.json()).catch(() => null));
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
  clearTimeout(timer);
  timer = document.hidden ? null : setTimeout(look, text ? ALERT : CALM);
}

function sentence(state) {
  if (state === null) return "Le service ne répond pas. Ce que vous avez saisi reste ici ; la page essaie encore.";
  const { ready, database, reason, mirror } = state;
  if (ready && !mirror?.answers) return "";
  const asOf = mirror?.asOf ? `, à jour au ${instant(mirror.asOf)}` : "";
  if (ready) return `PostgreSQL ne répond pas : cette page montre la mémoire du service${asOf}.`;
  const gone = database === "up" ? "" : "PostgreSQL ne répond pas, ";
  return `Le service ne peut pas répondre : ${gone}${reason ?? "il n’est pas prêt"}. La page essaie encore.`;
}
