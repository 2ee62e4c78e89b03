/** Numbers, dates and the words of the API as a French reader expects them. */

const INSTANT = new Intl.DateTimeFormat("fr-FR", { dateStyle: "long", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat("fr-FR", { dateStyle: "medium", timeZone: "UTC" });
const NUMBER = new Intl.NumberFormat("fr-FR", { maximumFractionDigits: 3 });
const EUROS = new Intl.NumberFormat("fr-FR", { style: "currency", currency: "EUR" });

/** An instant in the reader's own time. */
export const instant = (text) => INSTANT.format(new Date(text));

/** The day of a row: its first ten characters, whatever the reader's time zone is. */
export const day = (text) => DAY.format(new Date(`${text.slice(0, 10)}T00:00:00Z`));

export const number = (value) => NUMBER.format(value);

export const euros = (value) => EUROS.format(value);

/** "1 véhicule", "2 véhicules". */
export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count < 2 ? one : many}`;
