/** The kinds of rows: what the page calls them, and what the API reference says of their fields and lists. */

import { get } from "./api.js";
import { isManager } from "./session.js";

const named = (...parts) => parts.filter(Boolean).join(" ");
const visible = ({ status, extras }) => status === "PUBLISHED" && !/"isVisible": ?false/.test(extras ?? "");

/**
 * The kinds, by the names that the API gives them. `path` and `item` are its routes, `key` is the field in the address
 * of a row. `shownAt` is the address of the public view, if the public has one.
 */
export const KINDS = {
  Vehicle: {
    page: "vehicules", title: "Véhicules", one: "véhicule", fresh: "Nouveau véhicule", the: "le véhicule",
    path: "/api/vehicles", item: "/api/vehicles/{parc}", key: "parc", allowed: () => true,
    nameOf: ({ parc, marque, modele }) => named(parc, marque, modele),
    shownAt: ({ parc, isPublic }) => (isPublic ? `/public/vehicles/${encodeURIComponent(parc)}` : null),
  },
  Event: {
    page: "evenements", title: "Événements", one: "événement", fresh: "Nouvel événement", the: "l’événement",
    path: "/api/events", item: "/api/events/{id}", key: "id", allowed: () => true,
    nameOf: ({ title }) => title,
    shownAt: (row) => (visible(row) ? `/public/events/${row.id}` : null),
  },
  Member: {
    page: "adherents", title: "Adhérents", one: "adhérent", fresh: "Nouvel adhérent", the: "l’adhérent",
    path: "/api/members", item: "/api/members/{id}", key: "id", allowed: isManager,
    nameOf: ({ firstName, lastName, email }) => named(firstName, lastName) || email,
  },
};
export const RESOURCES = Object.values(KINDS);

/** The fields that name a row of another kind. */
export const REFERENCES = { vehicleId: KINDS.Vehicle };

/** The address of a row in the API. */
export const addressOf = ({ path }, key) => `${path}/${encodeURIComponent(key)}`;

let reference = null;

/** Reads `/openapi.json` once, from the browser’s cache while it is still the same; the functions below need it. */
export const readReference = async () => (reference ??= (await get("/openapi.json", { cache: "no-cache" })).data);

/** The most bytes that one may send of rows with these fields. */
export const mostBytes = (fields) =>
  reference[fields.some(({ kind }) => kind.startsWith("image")) ? "x-max-image-body-bytes" : "x-max-body-bytes"];

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
    .toSorted((one, other) => (one.order ?? Infinity) - (other.order ?? Infinity));
}

/** The query parameters that filter a list. */
export const filtersOf = (path) =>
  reference.paths[path].get.parameters.map(({ name, schema }) => hinted(name, schema)).filter(({ kind }) => kind);

/** The French text of each word that this property of a component may hold. */
export const wordsOf = (component, name) => reference.components.schemas[component].properties[name]["x-words"];

/** What a schema says of a field. For each `kind`, fields.js has a control and show.js a text. */
function hinted(name, schema) {
  const names = ["label", "kind", "hint", "words", "order", "column"];
  return { ...schema, name, ...Object.fromEntries(names.map((one) => [one, schema[`x-${one}`]])) };
}

/** The schema behind an answer or a body. */
function resolved(part) {
  const { schema } = part.content["application/json"];
  return reference.components.schemas[schema.$ref.split("/").pop()];
}
