/** The pages of one row: its form, its values for a member who may only read them, and the form of a new row. */

import { get } from "./api.js";
import { Form } from "./form.js";
import { definitions, fill, h } from "./h.js";
import { addressOf, MEMBERS } from "./resources.js";
import { listAgain } from "./router.js";
import { fieldsOf } from "./schema.js";
import { isManager } from "./session.js";
import { nodeOf } from "./show.js";

/** The page of the row with this key. */
export async function rowPage(resource, key, heading) {
  const address = addressOf(resource, key);
  const row = await get(address);
  heading.textContent = resource.nameOf(row.data);
  const fields = fieldsOf(resource);
  if (!isManager()) return [back(resource), values(fields, row.data)];
  return [back(resource), formOf(resource, fields, { method: "PATCH", address, removable: true }, row)];
}

/** The page of the member's own record, of which other fields may be changed. */
export async function ownPage() {
  const address = "/api/members/me";
  const fields = fieldsOf(MEMBERS, { path: address, method: "put" });
  return formOf(MEMBERS, fields, { method: "PUT", address }, await get(address));
}

/** The page on which a new row is made. */
export function newPage(resource, heading) {
  heading.textContent = resource.fresh;
  const found = fieldsOf(resource, { path: resource.path, method: "post" }).filter((field) => field.editable);
  const place = ({ name, required }) => (required ? 0 : 1 + (name === resource.key)); // what is needed stands first
  const fields = found.toSorted((one, other) => place(one) - place(other));
  const data = Object.fromEntries(fields.map((field) => [field.name, field.default]));
  return [back(resource), formOf(resource, fields, { method: "POST", address: resource.path }, { data })];
}

/** The form, and below it the fields that one cannot change. */
function formOf(resource, fields, route, { data, etag }) {
  const fixed = h("div");
  const told = (row) => fill(fixed, values(fields.filter((field) => !field.editable), row));
  const form = new Form(resource, fields, { ...route, told });
  form.take(data, etag);
  return [form.node, fixed];
}

const back = ({ page, title }) => h("a", { href: listAgain(page) }, `← ${title}`);

const values = (fields, row) => h("dl", { class: "values" }, definitions(fields
  .filter(({ name }) => name in row)
  .map((field) => [field.label, nodeOf(field, row[field.name])])));
