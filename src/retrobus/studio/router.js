/** Pages by the part of the address behind `#`: `#/vehicules/920?etat=neuf` shows the page `vehicules`. */

import { queryOf } from "./api.js";
import { ask, button, fill, h } from "./h.js";
import { age } from "./notices.js";
import { readReference } from "./schema.js";

const UNKNOWN = { title: "Page inconnue", show: () => "Cette adresse ne mène nulle part." };

const lists = new Map(); // the last address of each list, with its filters
let outlet = null; // where pages are shown
let pages = {};
let shown = ""; // the address behind `#` of the page that is shown
let dirty = () => false;

/** The address of a page, of a row of it, and of its filters. */
export function link(name, rest = [], query = {}) {
  const asked = queryOf(query);
  return `#/${[name, ...rest].map(encodeURIComponent).join("/")}${asked && `?${asked}`}`;
}

/** The name of the page at an address; without one, the first page that the person may see. */
export function pageOf(hash) {
  return hash.split(/[/?]/)[1] || Object.keys(pages).find((name) => pages[name].allowed());
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
  lists.set(pageOf(hash), hash);
  history.replaceState(null, "", hash);
}

/** Before the person leaves the page of now, asks if `changed()`. */
export function guard(changed) {
  dirty = changed;
}

/**
 * Shows pages in this element from now on, first the one of the address. `show(rest, query, heading)` of a page gives
 * its nodes or promises them; `rest` are the parts of the address behind its name.
 */
export function start(element, known) {
  outlet = element;
  pages = known;
  addEventListener("hashchange", follow);
  addEventListener("beforeunload", (event) => dirty() && event.preventDefault());
  show();
}

async function follow() {
  const wanted = location.hash;
  if (wanted === shown) return;
  if (!dirty()) return show();
  history.replaceState(null, "", shown);
  if (await ask("leaving")) go(wanted);
}

async function show() {
  const hash = location.hash;
  shown = hash;
  guard(() => false);
  age();
  const [path, query] = hash.split("?");
  const page = pages[pageOf(hash)] ?? UNKNOWN;
  const heading = h("h1", { tabindex: "-1" }, page.title);
  fill(outlet, heading, h("p", { class: "quiet" }, "Chargement…"));
  heading.focus({ preventScroll: true });
  const rest = path.split("/").slice(2).filter(Boolean).map(decodeURIComponent);
  const nodes = await readReference()
    .then(() => page.show(rest, new URLSearchParams(query), heading))
    .catch(failure);
  if (hash !== shown || location.hash !== hash) return; // the person went on meanwhile
  fill(outlet, heading, nodes);
  document.title = `${heading.textContent} – Studio RétroBus`;
  document.dispatchEvent(new Event("shown"));
}

/** What a person reads who cannot be shown a page. */
function failure(problem) {
  if (problem.status === undefined) console.error(problem);
  const retry = button("Réessayer", show, { class: "primary" });
  return h("div", { role: "alert", class: "failure" }, h("p", {}, problem.message), retry);
}
