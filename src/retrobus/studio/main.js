/** The frame around every page: name, navigation, banner and messages. */

import { button, h } from "./h.js";
import { banner, watchHealth } from "./health.js";
import { notices } from "./notices.js";
import { destinations, link, start } from "./router.js";
import { loginForm, logOut, user } from "./session.js";
import "./pages.js";

function brand() {
  return h("a", { class: "brand", href: link("") }, h("img", { src: "icon.svg", alt: "", width: 32, height: 32 }),
    h("span", {}, "RétroBus ", h("small", {}, "Studio")));
}

/** The page of a person who is not logged in. */
function welcome() {
  const main = h("main", { class: "welcome", id: "page" }, h("h1", {}, "Connexion"), loginForm(frame));
  document.body.replaceChildren(h("header", {}, brand()), banner, main);
  main.querySelector("input").focus();
}

/** The page of a member: the navigation, and the page of the address. */
function frame() {
  const page = h("main", { id: "page" });
  const links = h("nav", { "aria-label": "Pages" }, h("ul", {}, destinations().map(({ name, title }) =>
    h("li", {}, h("a", { href: link(name) }, title)))));
  document.addEventListener("shown", () => mark(links));
  document.body.replaceChildren(
    h("a", { class: "skip", href: "#page", onclick: (event) => skip(event, page) }, "Aller au contenu"),
    h("header", {}, brand(), links, who()), h("div", { class: "signs" }, banner, notices), page);
  start(page);
}

function who() {
  const { firstName, lastName, email } = user();
  const name = `${firstName} ${lastName}`.trim() || email;
  const leave = button("Se déconnecter", logOut, { class: "plain" });
  return h("div", { class: "who" }, h("a", { href: link("moi"), title: "Ma fiche" }, name), leave);
}

/** Moves the focus to the content; the address stays the page's. */
function skip(event, page) {
  event.preventDefault();
  page.querySelector("h1").focus();
}

function mark(links) {
  const now = location.hash.split(/[/?]/)[1] || destinations()[0].name;
  for (const anchor of links.querySelectorAll("a")) {
    if (anchor.hash === link(now)) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
}

watchHealth();
if (user()) frame();
else welcome();
