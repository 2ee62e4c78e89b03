/** A list of the service in a table: its filters, a search, an order and pages. The address keeps what is asked for. */

import { rowsOf } from "./api.js";
import { button, fill, freshId, h, line, table } from "./h.js";
import { attempt } from "./notices.js";
import { link, replace } from "./router.js";
import { filtersOf } from "./schema.js";
import { counted, folded, LETTERS, number } from "./words.js";

const PAGE = 50; // rows that are drawn at a time
const OWN = ["q", "sort", "down"]; // what this page does by itself with the rows that it has read: search and order

export class Listing {
  /**
   * `source` has the `page` and its `title`, the `path` of the rows in the API, what `one` row is, the `columns` as
   * table.js has them, with a `name` if one sorts by that property, and the text that is searched, `textOf(row)`.
   * `query` has what is asked for.
   */
  constructor(source, query) {
    Object.assign(this, source, { asked: Object.fromEntries(query) });
    const head = ({ name, label }) => (name ? button(label, () => this.sortBy(name)) : label);
    this.status = h("p", { role: "status", class: "quiet" });
    this.more = button("Afficher la suite", () => this.next());
    this.table = table(this.title, this.columns, [], head);
    this.body = this.table.querySelector("tbody");
  }

  /** The nodes of the page, once the rows are read; `actions` stand behind the filters. */
  async nodes(...actions) {
    await this.load();
    return [this.tools(actions), this.status, this.table, this.more];
  }

  /** Reads the rows that are asked for. A search and an order need every row: the API has neither. */
  async load() {
    await this.read([], null, this.asked.q || this.asked.sort ? null : PAGE);
    this.draw();
  }

  /** Reads the rows from a cursor on, behind those that have been read `before`. */
  async read(before, cursor, limit) {
    const { asked } = this;
    const found = await rowsOf(this.path, this.filters, { cursor, limit });
    if (asked !== this.asked) return; // one has asked for something else meanwhile
    Object.assign(this, { rows: [...before, ...found.rows], cursor: found.cursor, drawn: before.length + PAGE });
  }

  get filters() {
    return Object.fromEntries(Object.entries(this.asked).filter(([name]) => !OWN.includes(name)));
  }

  async next() {
    const { rows, cursor, drawn } = this;
    if (cursor && rows.length <= drawn) await attempt(() => this.read(rows, cursor, PAGE));
    else this.drawn += PAGE;
    this.draw();
    this.body.children[drawn]?.querySelector("a, button")?.focus();
  }

  /** Asks for something else; the address says what, so that a reload, a bookmark and the way back show the same. */
  ask(change) {
    this.asked = { ...this.asked, ...change };
    replace(link(this.page, [], this.asked));
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
    const fits = (text) => words.every((one) => text.includes(one));
    const rows = q ? this.rows.filter((row) => fits(folded(this.textOf(row)))) : this.rows;
    return sort ? rows.toSorted((one, other) => compared(one[sort], other[sort], down ? -1 : 1)) : rows;
  }

  draw() {
    const rows = this.chosen();
    const shown = rows.slice(0, this.drawn);
    const first = shown.length < rows.length || this.cursor ? `les ${number(shown.length)} premiers` : "";
    const count = this.cursor ? "La liste est plus longue" : counted(rows.length, this.one);
    fill(this.body, shown.map((row) => line(this.columns, row)));
    this.table.querySelectorAll("thead th").forEach((head, place) => (head.ariaSort = this.order(this.columns[place])));
    this.status.textContent = [count, first].filter(Boolean).join(", voici ");
    this.more.hidden = first === "";
  }

  order({ name }) {
    if (!name) return null;
    if (name !== this.asked.sort) return "none";
    return this.asked.down ? "descending" : "ascending";
  }

  /** Search, filters, and what one can do with the list. */
  tools(actions) {
    let waiting = null;
    const search = (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => this.ask({ q: event.target.value.trim() }), 200);
    };
    return h("search", { class: "tools" },
      labelled("Rechercher", h("input", { type: "search", value: this.asked.q, oninput: search })),
      filtersOf(this.path).map((filter) => labelled(filter.label, this.filter(filter))),
      h("div", { class: "actions end" }, actions));
  }

  filter({ name, kind, words }) {
    const value = this.asked[name];
    const onchange = (event) => this.ask({ [name]: event.target.value.trim() });
    if (!words) return h("input", { type: kind === "day" ? "date" : "text", value, onchange });
    const choices = Object.entries({ "": "Tout", ...words }).map(([word, text]) => h("option", { value: word }, text));
    return h("select", { onchange, value }, choices);
  }
}

/** A control of the tools, under its label. */
function labelled(text, control) {
  control.id = freshId("tool");
  return h("div", { class: "tool" }, h("label", { for: control.id }, text), control);
}

/** Which of two values is the first: numbers by size, texts as in a dictionary, nothing at the end. */
function compared(one, other, direction) {
  if (one == null || other == null) return (one == null) - (other == null);
  return direction * (typeof one === "number" ? one - other : LETTERS.compare(String(one), String(other)));
}
