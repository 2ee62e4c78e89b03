/** What the API reference says of rows: their fields in order, what each may hold, and how a list may be filtered. */

import { get } from "./api.js";

const LONG = 2_000; // characters: a text that may have more is written in several lines
const PAGING = new Set(["limit", "cursor"]);
let reference = null;

/** Reads `/openapi.json` once; the other functions need it. */
export async function readReference() {
  reference ??= (await get("/openapi.json")).data;
}

const isImage = ({ kind }) => kind === "image" || kind === "images";

/** `hasGallery` says that a list leaves `gallery` out, which it does with images alone. */
const leftOut = (name) => `has${name[0].toUpperCase()}${name.slice(1)}`;

/** The most bytes that one may send of rows with these fields. */
export const mostBytes = (fields) => reference[fields.some(isImage) ? "x-max-image-body-bytes" : "x-max-body-bytes"];

/**
 * The fields of a row, in order. `path` and `method` are the route by which one changes it: the fields that its body
 * takes are `editable`. For each `kind`, fields.js has a control and show.js a text.
 */
export function fieldsOf({ item, path }, route = { path: item, method: "patch" }) {
  const row = resolved(reference.paths[item].get.responses[200]).properties;
  const taken = bodyOf(route.path, route.method);
  const whole = { ...bodyOf(path, "post").properties, ...bodyOf(item, "patch").properties };
  return Object.keys({ ...row, ...taken.properties })
    .filter((name) => row[name]?.["x-label"] || taken.properties[name])
    .map((name) => {
      const shape = { ...flat(whole[name]), ...flat(taken.properties[name]), ...row[name] };
      const kind = kindOf(shape, leftOut(name) in row);
      const editable = name in taken.properties;
      const required = taken.required?.includes(name);
      return { ...shape, name, kind, editable, required, label: shape["x-label"] ?? name };
    })
    .toSorted((one, other) => (one["x-order"] ?? Infinity) - (other["x-order"] ?? Infinity));
}

/** The query parameters that filter a list: name, label, type of the control, options. */
export function filtersOf({ path }, fields) {
  const labels = { from: "À partir du", to: "Avant le" };
  return reference.paths[path].get.parameters
    .filter((one) => one.in === "query" && !PAGING.has(one.name))
    .map(({ name, schema }) => ({
      name,
      label: labels[name] ?? fields.find((field) => field.name === name)?.label ?? name,
      kind: name in labels ? "date" : "text",
      options: schema.enum ?? (schema.type === "boolean" ? ["true", "false"] : null),
    }));
}

const bodyOf = (path, method) => resolved(reference.paths[path][method].requestBody);

/** The schema behind an answer, a body or a reference to a component. */
function resolved(part) {
  const schema = part.content ? part.content["application/json"].schema : part;
  return schema.$ref ? reference.components.schemas[schema.$ref.split("/").pop()] : schema;
}

/** One schema for `anyOf`: its first branch, and whether null is another. */
function flat(schema = {}) {
  if (!schema.anyOf) return schema;
  return { ...flat(schema.anyOf[0]), ...schema, nullable: schema.anyOf.some((one) => one.type === "null") };
}

function kindOf(shape, image) {
  const is = (type) => [shape.type].flat().includes(type);
  if (shape.writeOnly) return "password";
  if (image) return is("array") ? "images" : "image";
  if (is("boolean")) return "flag";
  if (shape.enum) return "choice";
  if (shape.format === "date-time") return shape.readOnly ? "instant" : "day";
  if (is("object") || shape.contentMediaType) return "json";
  if (is("array")) return shape.items.type === "object" ? "pairs" : "lines";
  if (is("integer") || is("number")) return shape.multipleOf ? "money" : "number";
  if (shape.pattern && matches(shape.pattern, "23:59") && !matches(shape.pattern, "x")) return "time";
  return shape.maxLength > LONG ? "prose" : "text";
}

const matches = (pattern, text) => new RegExp(pattern).test(text);
