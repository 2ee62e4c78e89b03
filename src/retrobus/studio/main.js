/** The frame around every page: navigation, the person, and the login before them. */

import { fill, h } from "./h.js";
import { watchHealth } from "./health.js";
import { PAGES } from "./pages.js";
import { link, pageOf, start } from "./router.js";
import { loginForm, logOut, user } from "./session.js";

const [skip, nav, who, main] = [".skip", "nav", ".who", "main"].map((name) => document.querySelector(name));

/** The page of a person who is not logged in. */
function welcome() {
  main.className = "welcome";
  fill(main, h("h1", {}, "Connexion"), loginForm(frame));
  main.querySelector("input").focus();
}

/** The page of a member: the navigation, and the page of the address. */
function frame() {
  const { firstName, lastName, email } = user();
  const own = Object.entries(PAGES).filter(([, page]) => page.listed && page.allowed());
  fill(nav.firstElementChild, own.map(([name, { title }]) => h("li", {}, h("a", { href: link(name) }, title))));
  who.querySelector("a").textContent = `${firstName} ${lastName}`.trim() || email;
  who.querySelector("button").addEventListener("click", logOut);
  nav.hidden = who.hidden = false;
  main.className = "";
  document.addEventListener("shown", mark);
  start(main, PAGES);
}

/** Marks the page that is shown in the navigation. */
function mark() {
  for (const anchor of nav.querySelectorAll("a")) {
    anchor.ariaCurrent = pageOf(anchor.hash) === pageOf(location.hash) ? "page" : null;
  }
}

skip.addEventListener("click", (event) => {
  event.preventDefault(); // the address stays the page's
  main.querySelector("h1").focus();
});
watchHealth();
if (user()) frame();
else welcome();
