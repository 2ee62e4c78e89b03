/** The three kinds of rows: what the page calls them, and what leads in a list. Their fields come from schema.js. */

import { isManager } from "./session.js";

const named = (...parts) => parts.filter(Boolean).join(" ");
const visible = ({ status, extras }) => status === "PUBLISHED" && !/"isVisible": ?false/.test(extras ?? "");

/**
 * `path` and `item` are routes of the API, `key` is the field in the address of a row. A list begins with the fields of
 * `lead` and leaves those of `aside` out. `shownAt` is the address of the public view, null if the public has none.
 */
export const VEHICLES = {
  page: "vehicules", title: "Véhicules", one: "véhicule", fresh: "Nouveau véhicule", the: "le véhicule",
  path: "/api/vehicles", item: "/api/vehicles/{parc}", key: "parc", allowed: () => true,
  lead: ["parc", "marque", "modele"], aside: ["id", "subtitle", "immat", "backgroundPosition"],
  nameOf: ({ parc, marque, modele }) => named(parc, marque, modele),
  shownAt: ({ parc, isPublic }) => (isPublic ? `/public/vehicles/${encodeURIComponent(parc)}` : null),
};
export const EVENTS = {
  page: "evenements", title: "Événements", one: "événement", fresh: "Nouvel événement", the: "l’événement",
  path: "/api/events", item: "/api/events/{id}", key: "id", allowed: () => true,
  lead: ["title", "date", "time", "location", "vehicleId", "status", "currentParticipants"],
  aside: ["id", "layout", "helloAssoUrl", "childPrice"],
  nameOf: ({ title }) => title,
  shownAt: (row) => (visible(row) ? `/public/events/${row.id}` : null),
};
export const MEMBERS = {
  page: "adherents", title: "Adhérents", one: "adhérent", fresh: "Nouvel adhérent", the: "l’adhérent",
  path: "/api/members", item: "/api/members/{id}", key: "id", allowed: isManager,
  lead: ["lastName", "firstName", "email", "phone", "city"],
  aside: ["id", "address", "postalCode", "birthDate", "memberNumber", "matricule", "membershipStartDate",
    "paymentAmount", "paymentMethod", "newsletter", "hasLinkedAccess", "status"],
  nameOf: ({ firstName, lastName, email }) => named(firstName, lastName) || email,
  shownAt: () => null,
};

export const RESOURCES = [VEHICLES, EVENTS, MEMBERS];

/** By the names that the API gives them. */
export const KINDS = { Vehicle: VEHICLES, Event: EVENTS, Member: MEMBERS };

/** The fields that name a row of another kind. */
export const REFERENCES = { vehicleId: VEHICLES };

/** The address of a row in the API. */
export const addressOf = ({ path }, key) => `${path}/${encodeURIComponent(key)}`;
