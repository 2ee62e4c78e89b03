/** The frame around every page: navigation, the person, and the login before them. */

import { backupsPage } from "./backups.js";
import { boardPage } from "./board.js";
import { conflictsPage } from "./conflicts.js";
import { deletionsPage } from "./deletions.js";
import { fill, h } from "./h.js";
import { watchHealth } from "./health.js";
import { listPage } from "./list.js";
import { RESOURCES } from "./resources.js";
import { link, start } from "./router.js";
import { newPage, ownPage, rowPage } from "./row.js";
import { isAdmin, isManager, loginForm, logOut, user } from "./session.js";

/** Every page, in the order of the navigation; the own record is reached by the person's name. */
const PAGES = {
  tableau: { title: "Tableau de bord", allowed: isManager, show: boardPage },
  ...Object.fromEntries(RESOURCES.map((one) => [one.page, { ...one, show: (asked) => pageOfRows(one, asked) }])),
  suppressions: { title: "Suppressions", allowed: isManager, show: deletionsPage },
  conflits: { title: "Conflits", allowed: isAdmin, show: conflictsPage },
  sauvegardes: { title: "Sauvegardes", allowed: isAdmin, show: backupsPage },
  moi: { title: "Ma fiche", allowed: () => false, show: ownPage },
};

const [skip, nav, who, main] = [".skip", "nav", ".who", "main"].map((name) => document.querySelector(name));

function pageOfRows(resource, { rest: [key], query, heading }) {
  if (key === undefined) return listPage(resource, query);
  return key === "nouveau" ? newPage(resource, heading) : rowPage(resource, key, heading);
}

/** The page of a person who is not logged in. */
function welcome() {
  fill(main, h("h1", {}, "Connexion"), loginForm(frame));
  main.querySelector("input").focus();
}

/** The page of a member: the navigation, and the page of the address. */
function frame() {
  const { firstName, lastName, email } = user();
  const own = Object.entries(PAGES).filter(([, page]) => page.allowed());
  fill(nav.firstElementChild, own.map(([name, { title }]) => h("li", {}, h("a", { href: link(name) }, title))));
  fill(who.firstElementChild, `${firstName} ${lastName}`.trim() || email);
  who.lastElementChild.addEventListener("click", logOut);
  nav.hidden = who.hidden = false;
  start(PAGES);
}

skip.addEventListener("click", (event) => {
  event.preventDefault(); // the address stays the page's
  main.querySelector("h1").focus();
});
watchHealth();
if (user()) frame();
else welcome();
