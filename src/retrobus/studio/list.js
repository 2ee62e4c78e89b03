/** The list of one kind of rows, in the columns that the API reference has. */

import { download, queryOf } from "./api.js";
import { button, h } from "./h.js";
import { Listing } from "./listing.js";
import { attempt } from "./notices.js";
import { link } from "./router.js";
import { fieldsOf } from "./schema.js";
import { isManager } from "./session.js";
import { textOf, thumbnail } from "./show.js";

const SHORT = new Set(["text", "day", "time", "money", "number", "flag", "choice"]); // kinds with room in a column

/** The page of a list; `query` has its filters, its search (`q`) and its order (`sort`, `down`). */
export function listPage(resource, query) {
  const { page, path, fresh } = resource;
  const fields = fieldsOf(resource);
  const text = (row) => fields.map((field) => textOf(field, row[field.name])).join(" ");
  const list = new Listing({ ...resource, columns: columnsOf(resource, fields), textOf: text }, query);
  const sheet = () => `${path}.csv?${queryOf({ ...list.filters, dialect: "excel-fr" })}`;
  const csv = () => download(sheet(), `${page}.csv`, "text/csv");
  return list.nodes(
    button("CSV", () => attempt(csv), { title: "Toutes les lignes que les filtres laissent, pour un tableur" }),
    isManager() && h("a", { class: "button primary", href: link(page, ["nouveau"]) }, fresh));
}

/** The columns of a list: first those that lead, then the others that are short and not put aside. */
function columnsOf(resource, fields) {
  const { lead, aside } = resource;
  const place = ({ name }) => lead.indexOf(name) + 1 || lead.length + 1;
  const short = ({ name, kind, readOnly }) => SHORT.has(kind) && !readOnly && !aside.includes(name);
  const [first, ...others] = fields
    .filter((field) => lead.includes(field.name) || short(field))
    .toSorted((one, other) => place(one) - place(other))
    .map((field) => ({ ...field, cell: (row) => textOf(field, row[field.name]) }));
  const linked = (row) =>
    h("a", { class: "whole", href: link(resource.page, [row[resource.key]]) }, first.cell(row) || resource.nameOf(row));
  const images = fields.filter(({ kind }) => kind === "image");
  const pictures = images.map(({ kind, label }) => ({ kind, label, cell: pictureOf }));
  return [...pictures, { ...first, leads: true, cell: linked }, ...others];
}

function pictureOf({ imageUrl, galleryUrls, version }) {
  const image = imageUrl ?? galleryUrls?.find((url) => url.startsWith("/"));
  return image && thumbnail(image, version);
}
