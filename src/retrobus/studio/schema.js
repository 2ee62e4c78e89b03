/** What the API reference says of rows: their fields in order, what each may hold, and how a list may be filtered. */

import { get } from "./api.js";

let reference = null;

/** Reads `/openapi.json` once; the other functions need it. */
export async function readReference() {
  reference ??= (await get("/openapi.json")).data;
}

/** The most bytes that one may send of rows with these fields. */
export function mostBytes(fields) {
  const images = fields.some(({ kind }) => kind.startsWith("image"));
  return reference[images ? "x-max-image-body-bytes" : "x-max-body-bytes"];
}

/** The fields of a row, in order; those that the body of this route takes are `editable`. */
export function fieldsOf({ item }, route = { path: item, method: "patch" }) {
  const row = resolved(reference.paths[item].get.responses[200]).properties;
  const { properties: taken, required = [] } = resolved(reference.paths[route.path][route.method].requestBody);
  return Object.keys({ ...row, ...taken })
    .map((name) => ({
      ...hinted(name, { ...taken[name]?.anyOf?.[0], ...taken[name], ...row[name] }),
      editable: name in taken,
      required: required.includes(name),
      nullable: row[name]?.type.includes("null"),
    }))
    .filter(({ kind }) => kind)
    .toSorted((one, other) => (one["x-order"] ?? Infinity) - (other["x-order"] ?? Infinity));
}

/** The query parameters that filter a list. */
export function filtersOf(path) {
  const { parameters } = reference.paths[path].get;
  return parameters.map(({ name, schema }) => hinted(name, schema)).filter(({ kind }) => kind);
}

/** The French text of each word that this property of a component may hold. */
export const wordsOf = (component, name) => reference.components.schemas[component].properties[name]["x-words"];

/** What a schema says of a field. For each `kind`, fields.js has a control and show.js a text. */
function hinted(name, schema) {
  const [label, kind, hint, words] = ["x-label", "x-kind", "x-hint", "x-words"].map((extension) => schema[extension]);
  return { ...schema, name, label, kind, hint, words };
}

/** The schema behind an answer or a body. */
function resolved(part) {
  const { schema } = part.content["application/json"];
  return reference.components.schemas[schema.$ref.split("/").pop()];
}
