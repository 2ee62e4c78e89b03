/** Pages by the part of the address behind `#`: `#/vehicules/920?etat=neuf` shows the page `vehicules`. */

import { confirm } from "./dialog.js";
import { h } from "./h.js";
import { age } from "./notices.js";

const pages = new Map();
const lists = new Map(); // the last address of each list, with its filters
let outlet = null; // where pages are shown
let shown = ""; // the address behind `#` of the page that is shown
let dirty = () => false;

/**
 * Adds a page. `show(rest, query, heading)` promises its nodes; `rest` are the parts of the address behind its name.
 * `title` stands in the heading and, if `allowed()` and `listed`, in the navigation, in the order of registration.
 */
export function register(name, page) {
  pages.set(name, { allowed: () => true, listed: true, ...page });
}

/** Name and title of each page that the person may see, for the navigation. */
export function destinations() {
  return [...pages].filter(([, page]) => page.listed && page.allowed()).map(([name, { title }]) => ({ name, title }));
}

/** The address of a page, of a row of it, and of its filters. */
export function link(name, rest = [], query = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value)).toString();
  return `#/${[name, ...rest].map(encodeURIComponent).join("/")}${asked && `?${asked}`}`;
}

/** The address of a list with the filters that it had last. */
export const listAgain = (name) => lists.get(name) ?? link(name);

/** Goes to an address of `link`; a form that has changed does not hold it up. */
export function go(hash) {
  dirty = () => false;
  if (location.hash === hash) show();
  else location.hash = hash;
}

/** Gives the list that is shown another address: a filter has changed. */
export function replace(hash) {
  shown = hash;
  lists.set(nameIn(hash), hash);
  history.replaceState(null, "", hash);
}

/** Before the person leaves the page of now, asks if `changed()`. */
export function guard(changed) {
  dirty = changed;
}

/** Shows pages in this element from now on, first the one of the address. */
export function start(element) {
  outlet = element;
  addEventListener("hashchange", follow);
  addEventListener("beforeunload", (event) => dirty() && event.preventDefault());
  show();
}

async function follow() {
  const wanted = location.hash;
  if (wanted === shown) return;
  if (dirty()) {
    history.replaceState(null, "", shown);
    const leave = await confirm("Quitter sans enregistrer ?", "Ce que vous avez changé ici serait perdu.",
      "Quitter sans enregistrer", { danger: true, no: "Rester" });
    if (leave) go(wanted);
    return;
  }
  show();
}

const nameIn = (hash) => hash.split(/[/?]/)[1];

async function show() {
  shown = location.hash;
  guard(() => false);
  age();
  const [path, query] = shown.slice(2).split("?");
  const [name, ...rest] = path.split("/").filter(Boolean).map(decodeURIComponent);
  const page = pages.get(name || destinations()[0].name);
  const heading = h("h1", { tabindex: "-1" }, page?.title ?? "Page inconnue");
  const said = page ? "Chargement…" : "Cette adresse ne mène nulle part.";
  outlet.replaceChildren(heading, h("p", { class: "quiet" }, said));
  heading.focus({ preventScroll: true });
  if (page) await fill(page, heading, rest, new URLSearchParams(query), shown);
}

async function fill(page, heading, rest, query, hash) {
  let nodes;
  try {
    nodes = await page.show(rest, query, heading);
  } catch (problem) {
    nodes = [failure(problem)];

  }
  if (hash !== shown || location.hash !== hash) return; // the person went on meanwhile
  outlet.replaceChildren(heading, ...[nodes].flat(Infinity).filter(Boolean));
  document.title = `${heading.textContent} – Studio RétroBus`;
  document.dispatchEvent(new CustomEvent("shown", { detail: hash }));
}

/** What a person reads who cannot be shown a page. */
function failure(problem) {
  if (problem.status === undefined) console.error(problem);
  const retry = h("button", { type: "button", class: "primary", onclick: show }, "Réessayer");
  return h("div", { role: "alert", class: "failure" }, h("p", {}, problem.message), retry);
}
