/** Numbers, dates and texts as a French reader expects them. */

const INSTANT = new Intl.DateTimeFormat("fr-FR", { dateStyle: "long", timeStyle: "short" });
const DAY = new Intl.DateTimeFormat("fr-FR", { dateStyle: "medium", timeZone: "UTC" });
const NUMBER = new Intl.NumberFormat("fr-FR", { maximumFractionDigits: 2 });
const EUROS = new Intl.NumberFormat("fr-FR", { style: "currency", currency: "EUR" });

/** An instant in the reader's own time. */
export const instant = (text) => INSTANT.format(new Date(text));

/** The day of a row: its first ten characters, whatever the reader's time zone is. */
export const day = (text) => DAY.format(new Date(`${text.slice(0, 10)}T00:00:00Z`));

export const number = (value) => NUMBER.format(value);

export const euros = (value) => EUROS.format(value);

/** Bytes as "8,4 Mo" or "12 ko". */
export const bytes = (count) => (count < 1e6 ? `${number(Math.ceil(count / 1e3))} ko` : `${number(count / 1e6)} Mo`);

/** "1 véhicule", "2 véhicules". */
export const counted = (count, one, many = `${one}s`) => `${number(count)} ${count < 2 ? one : many}`;

/** A text of a row in quotation marks: signs that turn the direction of writing end with it. */
export const quoted = (text) => `« ${/[\u202a-\u202e\u2066-\u2069]/.test(text) ? `\u2068${text}\u2069` : text} »`;

/** Texts in the order of a dictionary, and numbers in them by size. */
export const LETTERS = new Intl.Collator("fr", { numeric: true, sensitivity: "base" });

/** A text without accents and capitals, for searching. */
export const folded = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
