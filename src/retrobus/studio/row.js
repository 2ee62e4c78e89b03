/** The pages of one row: its form, its values for a member who may only read them, and the form of a new row. */

import { get } from "./api.js";
import { Form } from "./form.js";
import { h } from "./h.js";
import { addressOf, fieldsOf, KINDS } from "./resources.js";
import { listAgain } from "./router.js";
import { isManager } from "./session.js";
import { valuesOf } from "./show.js";

/** The page of the row with this key. */
export async function rowPage(resource, key, heading) {
  const address = addressOf(resource, key);
  const row = await get(address);
  heading.textContent = resource.nameOf(row.data);
  const fields = fieldsOf(resource);
  if (!isManager()) return [back(resource), valuesOf(fields, row.data)];
  return [back(resource), new Form(resource, fields, { method: "PATCH", address, removable: true }, row).node];
}

/** The page of the member's own record, of which other fields may be changed. */
export async function ownPage() {
  const address = "/api/members/me";
  const fields = fieldsOf(KINDS.Member, { path: address, method: "put" });
  return new Form(KINDS.Member, fields, { method: "PUT", address }, await get(address)).node;
}

/** The page on which a new row is made. */
export function newPage(resource, heading) {
  heading.textContent = resource.fresh;
  const found = fieldsOf(resource, { path: resource.path, method: "post" }).filter((field) => field.editable);
  const place = ({ name, required }) => (required ? 0 : 1 + (name === resource.key)); // what is needed stands first
  const fields = found.toSorted((one, other) => place(one) - place(other));
  const data = Object.fromEntries(fields.map((field) => [field.name, field.default]));
  return [back(resource), new Form(resource, fields, { method: "POST", address: resource.path }, { data }).node];
}

const back = ({ page, title }) => h("a", { href: listAgain(page) }, `← ${title}`);
