/** The pages of one row: its form, its values for a member who may only read them, and the form of a new row. */

import { get } from "./api.js";
import { Form } from "./form.js";
import { h } from "./h.js";
import { addressOf, MEMBERS, REFERENCES } from "./resources.js";
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
  return [back(resource), await formOf(resource, fields, { method: "PATCH", address }, row, true)];
}

/** The page of the member's own record, of which other fields may be changed. */
export async function ownPage() {
  const [method, address] = ["PUT", "/api/members/me"];
  const row = await get(address);
  const fields = fieldsOf(MEMBERS, { path: address, method: "put" });
  return formOf(MEMBERS, fields, { method, address }, row, false);
}

/** The page on which a new row is made. */
export async function newPage(resource, heading) {
  heading.textContent = resource.fresh;
  const found = fieldsOf(resource, { path: resource.path, method: "post" }).filter((field) => field.editable);
  const place = ({ name, required }) => (required ? 0 : 1 + (name === resource.key)); // what is needed stands first
  const fields = found.toSorted((one, other) => place(one) - place(other));
  const data = Object.fromEntries(fields.map((field) => [field.name, field.default]));
  const route = { method: "POST", address: resource.path };
  return [back(resource), await formOf(resource, fields, route, { data, etag: null }, false)];
}

/** The form, and below it the fields that one cannot change. */
async function formOf(resource, fields, route, { data, etag }, removable) {
  const fixed = h("div");
  const told = (row) => fixed.replaceChildren(values(fields.filter((field) => !field.editable), row));
  const form = new Form(resource, fields, { ...route, told, choices: await choicesOf(fields) });
  form.take(data, etag);
  return [form.node(removable), fixed];
}

/** For each field that names a row of another kind, the keys and names of those rows. */
async function choicesOf(fields) {
  const found = {};
  for (const { name } of fields.filter((field) => field.name in REFERENCES)) {
    const { path, key, nameOf } = REFERENCES[name];
    found[name] = Object.values((await get(path)).data)[0].map((row) => [row[key], nameOf(row)]);
  }
  return found;
}

const back = ({ page, title }) => h("a", { href: listAgain(page) }, `← ${title}`);

const values = (fields, row) => h("dl", { class: "values" }, fields.filter(({ name }) => name in row).map((field) =>
  h("div", {}, h("dt", {}, field.label), h("dd", {}, nodeOf(field, row[field.name])))));
