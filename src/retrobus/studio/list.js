/** The list of one kind of rows: search, filters, order and pages, in the columns that the API reference has. */

import { download, get } from "./api.js";
import { button, freshId, h } from "./h.js";
import { attempt } from "./notices.js";
import { link, replace } from "./router.js";
import { fieldsOf, filtersOf } from "./schema.js";
import { isManager } from "./session.js";
import { textOf, thumbnail } from "./show.js";
import { counted, folded, LETTERS, number, word } from "./words.js";

const PAGE = 50; // rows that are drawn at a time
const MOST = 1_000; // rows that the service gives at a time
const OWN = ["q", "sort", "down"]; // what this page does by itself with the rows that it has read
const SHORT = new Set(["text", "day", "time", "money", "number", "flag", "choice"]); // kinds with room in a column

/** The page of a list; `query` has its filters, its search (`q`) and its order (`sort`, `down`). */
export async function listPage(resource, query) {
  const list = new List(resource, fieldsOf(resource), Object.fromEntries(query));
  await list.load();
  return [list.tools(), list.status, list.table, list.more];
}

/** The fields that a list shows: first those that lead, then the others that are short and not put aside. */
function columnsOf({ lead, aside }, fields) {
  const place = ({ name }) => lead.indexOf(name) + 1 || lead.length + 1;
  const short = ({ name, kind, readOnly }) => SHORT.has(kind) && !readOnly && !aside.includes(name);
  const shown = fields.filter((field) => lead.includes(field.name) || short(field));
  return shown.toSorted((one, other) => place(one) - place(other));
}

class List {
  constructor(resource, fields, asked) {
    Object.assign(this, { resource, fields, asked, columns: columnsOf(resource, fields) });
    this.picture = fields.find(({ kind }) => kind === "image");
    this.status = h("p", { role: "status", class: "quiet" });
    this.body = h("tbody");
    const sorting = ({ name, label }) => button(label, () => this.sortBy(name));
    this.heads = this.columns.map((field) => h("th", { scope: "col" }, sorting(field)));
    const head = this.picture && h("th", { scope: "col" }, h("span", { class: "visually-hidden" }, this.picture.label));
    this.table = h("div", { class: "table" }, h("table", {},
      h("caption", { class: "visually-hidden" }, resource.title),
      h("thead", {}, h("tr", {}, head, this.heads)), this.body));
    this.more = button("Afficher la suite", () => this.next());
  }

  /** Reads the rows that are asked for. A search and an order need every row: the API has neither. */
  async load() {
    const { asked } = this;
    const found = { rows: [], cursor: null, drawn: PAGE };
    await this.read(found, Boolean(asked.q || asked.sort));
    if (asked === this.asked) this.draw(Object.assign(this, found)); // else something else has been asked for meanwhile
  }

  /** Adds the next rows to `found`, or all the others. */
  async read(found, all) {
    const limit = all ? MOST : PAGE;
    const page = found.cursor ? { limit, cursor: found.cursor } : { limit };
    const { data } = await get(this.address("", page));
    found.rows.push(...data[this.resource.path.split("/").pop()]);
    found.cursor = data.nextCursor;
    if (all && found.cursor) await this.read(found, all);
  }

  /** The address of these rows in the API, with its filters alone. */
  address(kind, more) {
    const query = new URLSearchParams({ ...this.asked, ...more });
    for (const name of OWN) query.delete(name);
    return `${this.resource.path}${kind}?${query}`;
  }

  async next() {
    this.drawn += PAGE;
    if (this.cursor && this.rows.length < this.drawn) await attempt(() => this.read(this, false));
    this.draw();
    this.body.children[this.drawn - PAGE]?.querySelector("a").focus();
  }

  /** Asks for something else; the address says what, so that a reload, a bookmark and the way back show the same. */
  ask(change) {
    this.asked = Object.fromEntries(Object.entries({ ...this.asked, ...change }).filter(([, value]) => value));
    replace(link(this.resource.page, [], this.asked));
    const read = !this.cursor && Object.keys(change).every((name) => OWN.includes(name)); // every row is here already
    return read ? this.draw() : attempt(() => this.load());
  }

  /** Sorts by a column: upwards, then downwards, then as the API does. */
  sortBy(name) {
    const { sort, down } = this.asked;
    this.ask(sort === name ? { sort: down ? "" : name, down: down ? "" : "1" } : { sort: name, down: "" });
  }

  /** The rows that the search leaves, in the order that is asked for. */
  chosen() {
    const { q = "", sort, down } = this.asked;
    const words = folded(q).split(/\s+/);
    const text = (row) => folded(this.fields.map((field) => textOf(field, row[field.name])).join(" "));
    const rows = q ? this.rows.filter((row) => words.every((one) => text(row).includes(one))) : this.rows;
    return sort ? rows.toSorted((one, other) => compared(one[sort], other[sort], down ? -1 : 1)) : rows;
  }

  draw() {
    const rows = this.chosen();
    const shown = rows.slice(0, this.drawn);
    const first = shown.length < rows.length || this.cursor ? `les ${number(shown.length)} premiers` : "";
    const count = this.cursor ? "La liste est plus longue" : counted(rows.length, this.resource.one);
    this.body.replaceChildren(...shown.map((row) => this.row(row)));
    this.heads.forEach((head, place) => head.setAttribute("aria-sort", this.order(this.columns[place].name)));
    this.status.textContent = [count, first].filter(Boolean).join(", voici ");
    this.more.hidden = first === "";
  }

  order(name) {
    if (name !== this.asked.sort) return "none";
    return this.asked.down ? "descending" : "ascending";
  }

  row(row) {
    const { resource, picture, columns: [first, ...others] } = this;
    const key = row[resource.key];
    const name = textOf(first, row[first.name]) || resource.nameOf(row);
    const image = row.imageUrl ?? row.galleryUrls?.find((url) => url.startsWith("/"));
    return h("tr", {}, picture && h("td", { class: "image" }, image && thumbnail(image, row.version)),
      h("th", { scope: "row" }, h("a", { href: link(resource.page, [key]) }, name)),
      others.map((field) => h("td", { "data-label": field.label, class: field.kind }, textOf(field, row[field.name]))));
  }

  /** Search, filters, and what one can do with the list. */
  tools() {
    const { resource, asked } = this;
    const csv = () => download(this.address(".csv", { dialect: "excel-fr" }), `${resource.page}.csv`, "text/csv");
    let waiting = null;
    const search = (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.ask({ q: event.target.value.trim() }), 200);
    };
    return h("search", { class: "tools" },
      labelled("Rechercher", h("input", { type: "search", value: asked.q, oninput: search })),
      filtersOf(resource, this.fields).map((filter) => labelled(filter.label, this.filter(filter))),
      h("div", { class: "actions end" },
        button("CSV", () => attempt(csv), { title: "Toutes les lignes que les filtres laissent, pour un tableur" }),
        isManager() && h("a", { class: "button primary", href: link(resource.page, ["nouveau"]) }, resource.fresh)));
  }

  filter({ name, kind, options }) {
    const onchange = (event) => this.ask({ [name]: event.target.value });
    if (!options) return h("input", { type: kind, value: this.asked[name], onchange });
    const choices = options.map((value) => h("option", { value }, word(value)));
    return h("select", { onchange, value: this.asked[name] }, h("option", { value: "" }, "Tous"), choices);
  }
}

/** A control of the tools, under its label. */
export function labelled(text, control) {
  control.id = freshId("tool");
  return h("div", { class: "tool" }, h("label", { for: control.id }, text), control);
}

/** Which of two values is the first: numbers by size, texts as in a dictionary, nothing at the end. */
function compared(one, other, direction) {
  if (one == null || other == null) return (one == null) - (other == null);
  return direction * (typeof one === "number" ? one - other : LETTERS.compare(String(one), String(other)));
}
