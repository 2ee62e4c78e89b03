/** Pages by the part of the address behind `#`: `#/vehicules/920?etat=neuf` shows the page `vehicules`. */

import { queryOf } from "./api.js";
import { ask, fill, h, hush, template } from "./h.js";
import { readReference } from "./resources.js";

const UNKNOWN = { title: "Page inconnue", show: () => h("p", {}, "Cette adresse ne mène nulle part.") };

const lists = new Map(); // the last address of each list, with its filters
const outlet = document.querySelector("main");
let pages = {};
let shown = ""; // the address behind `#` of the page that is shown
let stay = new AbortController(); // aborts when the person leaves this page
let dirty = () => false;

/** The address of a page, of a row of it, and of its filters. */
export const link = (name, rest = [], query = {}) =>
  `#/${[name, ...rest].map(encodeURIComponent).join("/")}${queryOf(query)}`;

/** The name of the page at an address; without one, the first page that the person may see. */
const pageOf = (hash) => hash.split(/[/?]/)[1] || Object.keys(pages).find((name) => pages[name].allowed());

/** The address of a list with the filters that it had last. */
export const listAgain = (name) => lists.get(name) ?? link(name);

/** Goes to an address of `link`, and promises that the page is there; a changed form does not hold it up. */
export function go(hash) {
  history.pushState(null, "", hash);
  return show();
}

/** Gives the list that is shown another address: a filter has changed. */
export function replace(hash) {
  shown = hash;
  lists.set(pageOf(hash), hash);
  history.replaceState(null, "", hash);
}

/** Before the person leaves the page of now, asks if `changed()`. */
export const guard = (changed) => (dirty = changed);

/**
 * Shows pages from now on, first the one of the address. `show({ rest, query, heading, signal })` of a page gives its
 * nodes or promises them; `rest` are the parts of the address behind its name, and `signal` aborts at its end.
 */
export function start(known) {
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
  if (await ask("leaving")) await go(wanted);
}

async function show() {
  stay.abort();
  stay = new AbortController();
  shown = location.hash;
  guard(() => false);
  hush();
  for (const one of document.querySelectorAll("dialog")) one.close(); // it asks about the page that goes
  const { signal } = stay;
  const [path, query] = shown.split("?");
  const name = pageOf(shown);
  const page = pages[name] ?? UNKNOWN;
  for (const one of document.querySelectorAll("nav a")) one.ariaCurrent = one.hash === link(name) ? "page" : null;
  const heading = h("h1", { tabindex: "-1" }, page.title);
  fill(outlet, heading, h("p", { class: "quiet" }, "Chargement…"));
  heading.focus({ preventScroll: true });
  const rest = path.split("/").slice(2).filter(Boolean).map(decodeURIComponent);
  const asked = { rest, query: new URLSearchParams(query), heading, signal };
  const nodes = await readReference().then(() => page.show(asked)).catch(failure);
  if (signal.aborted) return; // the person went on meanwhile
  fill(outlet, heading, nodes);
  document.title = `${heading.textContent} – Studio RétroBus`;
}

/** What a person reads who cannot be shown a page. */
function failure(problem) {
  if (problem.status === undefined) console.error(problem);
  return template("failure", { message: problem.message, retry: show }).node;
}
