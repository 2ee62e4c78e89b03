/** Lists of the service in a table: filters, search, order and pages. The address keeps what is asked for. */

import { download, queryOf, rowsOf } from "./api.js";
import { attempt, button, fill, freshId, h, line, table } from "./h.js";
import { fieldsOf, filtersOf } from "./resources.js";
import { link, replace } from "./router.js";
import { isManager } from "./session.js";
import { counted, folded, LETTERS, number, textOf, thumbnail } from "./show.js";

const PAGE = 50; // rows that are drawn at a time
const OWN = ["q", "sort"]; // what this page does by itself with the rows that it has read: search and order
const TYPES = { text: "text", day: "date", search: "search" }; // of the inputs that filter

/** The page of a list; `query` has its filters, its search (`q`) and its order (`sort`, with "-" downwards). */
export function listPage(resource, query) {
  const { page, path, fresh } = resource;
  const fields = fieldsOf(resource);
  const text = (row) => fields.map((field) => textOf(field, row[field.name])).join(" ");
  const list = new Listing({ ...resource, columns: columnsOf(resource, fields), textOf: text }, query);
  const dialect = "excel-fr";
  const csv = () => download(`${path}.csv${queryOf({ ...list.filters, dialect })}`, `${page}.csv`, "text/csv");
  return list.nodes(
    button("CSV", () => attempt(csv), { title: "Toutes les lignes que les filtres laissent, pour un tableur" }),
    isManager() && h("a", { class: "button primary", href: link(page, ["nouveau"]) }, fresh));
}

/** The columns that the API reference names, with a picture before the first, which leads to the row. */
function columnsOf({ page, key, nameOf }, fields) {
  const [first, ...others] = fields
    .filter(({ column }) => column !== undefined)
    .toSorted((one, other) => one.column - other.column)
    .map((field) => ({ ...field, cell: (row) => textOf(field, row[field.name]) }));
  const linked = (row) => h("a", { class: "whole", href: link(page, [row[key]]) }, first.cell(row) || nameOf(row));
  const images = fields.filter(({ kind }) => kind === "image");
  const pictures = images.map(({ kind, label }) => ({ kind, label, cell: thumbnail }));
  return [...pictures, { ...first, leads: true, cell: linked }, ...others];
}

export class Listing {
  /**
   * `source` has the `page` and its `title`, the `path` of the rows in the API, what `one` row is, the `columns` of the
   * table, with a `name` if one sorts by that property, and the text that is searched, `textOf(row)`. `query` has what
   * is asked for.
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
    const tools = [{ name: "q", label: "Rechercher", kind: "search" }, ...filtersOf(this.path)];
    const search = h("search", { class: "tools" },
      tools.map((one) => this.tool(one)), h("div", { class: "actions end" }, actions));
    return [search, this.status, this.table, this.more];
  }

  /** Reads rows, behind those `before` the cursor. A search and an order need every row: the API has neither. */
  async load(before = [], cursor = null) {
    const { asked } = this;
    const limit = asked.q || asked.sort ? null : PAGE;
    const found = await rowsOf(this.path, this.filters, { cursor, limit });
    if (asked !== this.asked) return; // one has asked for something else meanwhile
    Object.assign(this, { rows: [...before, ...found.rows], cursor: found.cursor, drawn: before.length + PAGE });
    this.draw();
  }

  get filters() {
    return Object.fromEntries(Object.entries(this.asked).filter(([name]) => !OWN.includes(name)));
  }

  async next() {
    const { rows, cursor, drawn } = this;
    this.drawn += PAGE;
    if (cursor && rows.length <= drawn) await attempt(() => this.load(rows, cursor));
    else this.draw();
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
    const next = { [name]: `-${name}`, [`-${name}`]: "" };
    this.ask({ sort: next[this.asked.sort] ?? name });
  }

  /** How the rows are sorted by a column, as `aria-sort` says it. */
  order({ name }) {
    return name ? ({ [name]: "ascending", [`-${name}`]: "descending" }[this.asked.sort] ?? "none") : null;
  }

  /** The rows that the search leaves, in the order that is asked for. */
  chosen() {
    const { q = "", sort } = this.asked;
    const words = folded(q).split(/\s+/);
    const fits = (text) => words.every((one) => text.includes(one));
    const rows = q ? this.rows.filter((row) => fits(folded(this.textOf(row)))) : this.rows;
    return sort ? rows.toSorted(comparison(sort)) : rows;
  }

  draw() {
    const rows = this.chosen();
    const shown = rows.slice(0, this.drawn);
    const first = shown.length < rows.length || this.cursor ? `les ${number(shown.length)} premières lignes` : "";
    const count = this.cursor ? "La liste est plus longue" : counted(rows.length, this.one);
    fill(this.body, shown.map((row) => line(this.columns, row)));
    this.table.querySelectorAll("thead th").forEach((head, place) => (head.ariaSort = this.order(this.columns[place])));
    this.status.textContent = [count, first].filter(Boolean).join(", voici ");
    this.more.hidden = first === "";
  }

  /** A control that says what is asked for. */
  tool({ name, label, kind, words }) {
    const id = freshId("tool");
    const ask = ({ target }) => this.ask({ [name]: target.value.trim() });
    const soon = (event) => {
      clearTimeout(this.waiting);
      this.waiting = setTimeout(ask, 200, event); // until one has stopped typing
    };
    const on = kind === "search" ? { oninput: soon } : { onchange: ask };
    const all = words ? Object.entries({ "": "Tout", ...words }) : [];
    const choices = all.map(([value, said]) => h("option", { value }, said));
    const control = h(words ? "select" : "input", { id, type: TYPES[kind], value: this.asked[name], ...on }, choices);
    return h("div", { class: "tool" }, h("label", { for: id }, label), control);
  }
}

/** Which of two rows is the first by a property, with "-" downwards: numbers by size, texts as in a dictionary. */
function comparison(sort) {
  const [name, direction] = sort.startsWith("-") ? [sort.slice(1), -1] : [sort, 1];
  return ({ [name]: one }, { [name]: other }) => {
    if (one == null || other == null) return (one == null) - (other == null); // nothing stands at the end
    return direction * (typeof one === "number" ? one - other : LETTERS.compare(one, other));
  };
}
