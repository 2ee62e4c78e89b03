/** The form of a row: only what has changed is sent, and only while nobody else has changed the row. */

import { address as full, get, newKey, send } from "./api.js";
import { Control } from "./fields.js";
import { ask, attempt, button, fill, freshId, h, tell, template, phrase } from "./h.js";
import { mostBytes } from "./resources.js";
import { go, guard, link } from "./router.js";
import { bytes, byWhom, counted, instant, nodeOf, personOf, quoted, valuesOf } from "./show.js";

export class Form {
  /**
   * `method` and `address` are the route that takes the fields; `removable` if one may delete the row here. `row` is
   * what the service has now, with its `etag`.
   */
  constructor(resource, fields, { method, address, removable = false }, { data: row, etag }) {
    const most = mostBytes(fields);
    const controls = fields.filter((field) => field.editable).map((field) => new Control(field, most));
    const parts = template("form", {
      fields: controls.map((control) => control.node),
      undo: () => this.take(this.row, this.etag),
      remove: () => this.delete(),
    });
    Object.assign(this, parts, { resource, fields, method, address, most, controls, isNew: method === "POST" });
    this.request = null; // the last one: if it is sent again, then under its own key
    if (this.isNew) this.save.textContent = "Créer";
    this.remove.hidden = !removable;
    this.node.addEventListener("input", () => this.tally());
    this.node.addEventListener("submit", () => this.submit());
    guard(() => this.changed.length > 0);
    this.take(row, etag);
  }

  /** Shows a row as the service has it now, and below the form the fields that one cannot change. */
  take(row, etag) {
    Object.assign(this, { row, etag });
    for (const control of this.controls) control.write(row[control.field.name]);
    fill(this.fixed, valuesOf(this.fields.filter((field) => !field.editable), row));
    const shown = this.isNew ? null : this.resource.shownAt?.(row);
    Object.assign(this.view, { hidden: !shown, href: full(shown ?? "/") });
    fill(this.trouble);
    this.tally();
  }

  get changed() {
    return this.controls.filter((control) => control.changed);
  }

  tally() {
    const { length } = this.changed;
    this.count.textContent = length ? `${counted(length, "champ")} à enregistrer` : "";
  }

  /** The changed fields with their values; null if one holds what is no value, or a new row lacks one. */
  collected() {
    const wanted = this.controls.filter(({ changed, field }) => changed || field.required);
    const found = wanted.map((control) => ({ control, field: control.field, ...control.read() }));
    for (const { control, error } of found) control.say(error ?? "");
    const wrong = found.find(({ error }) => error);
    wrong?.control.focus();
    return wrong ? null : found;
  }

  async submit() {
    const found = this.collected();
    if (found === null) return;
    const body = Object.fromEntries(found.map(({ field, value }) => [field.name, value]));
    const sent = JSON.stringify(body);
    const { size } = new Blob([sent]);
    const { method, address, etag, request, most } = this;
    if (request?.sent !== sent || request.etag !== etag) this.request = { sent, etag, key: newKey() };
    if (!this.isNew && !this.changed.length) tell(phrase("unchanged"));
    else if (size > most) this.explain(`${bytes(size)}, au plus ${bytes(most)} : envoyez les images une à une.`);
    else await this.attempt(() => send(method, address, body, this.request), (answer) => this.saved(answer));
  }

  async saved({ data, etag, accepted }) {
    this.take(data, etag);
    this.request = null;
    if (this.isNew) await go(link(this.resource.page, [data[this.resource.key]]));
    tell(phrase(accepted ?? "done"), accepted ? "warning" : "done");
  }

  /** Sends what the service may refuse; until it has succeeded, the form stays as it is. */
  async attempt(work, done) {
    fill(this.trouble);
    await attempt(async () => done(await work()), this.save, (problem) => {
      if (problem.status === 412) return this.choose();
      if (problem.status === 404) return this.explain(phrase("gone"));
      const passing = [0, 503].includes(problem.status) || problem.code === "request_in_progress";
      return this.refused(problem, passing && (() => this.attempt(work, done)));
    });
  }

  /** Says each reason at its field, and the others below the form. */
  refused({ message, errors = [], status, outcome, requestId }, again) {
    const controlOf = ({ field }) => this.controls.find((control) => control.field.name === field.split(/[.[]/)[0]);
    const named = errors.filter(controlOf);
    for (const error of named) controlOf(error).say(error.message);
    if (named.length) controlOf(named[0]).focus();
    const all = named.length > 0 && named.length === errors.length;
    const said = all ? phrase("marked") : message.replace(/[^.!?…]$/, "$&.");
    const request = status >= 500 && requestId && `(Demande ${requestId}.)`;
    this.explain([said, !all && outcome && phrase(outcome), request].filter(Boolean).join(" "), again);
  }

  explain(said, again) {
    fill(this.trouble, h("p", {}, said), again && button("Réessayer", again, { class: "primary" }));
    this.trouble.scrollIntoView({ block: "nearest" });
  }

  /** Somebody else has changed the row since it was read: the person chooses field by field, then that is saved. */
  async choose() {
    await this.attempt(() => get(this.address), async ({ data, etag }) => {
      if (this.changed.length === 0) { // a delete: nothing of the person's own is at stake
        this.take(data, etag);
        this.explain(phrase("reread"));
        return;
      }
      const kept = await merged(this.fields, this.row, data, this.collected());
      if (kept === null) return;
      this.take(data, etag);
      for (const { control, value } of kept) control.part.write(value);
      await this.submit();
    });
  }

  async delete() {
    const name = quoted(this.resource.nameOf(this.row));
    if (!(await ask("deletion", { name: `${this.resource.the} ${name}` }))) return;
    const request = { etag: this.etag, key: newKey() };
    await this.attempt(() => send("DELETE", this.address, undefined, request), async ({ accepted }) => {
      const seen = h("a", { href: link("suppressions") }, "Voir les suppressions");
      await go(link(this.resource.page));
      tell(`${name} est supprimé. ${accepted ? phrase(accepted) : ""}`, accepted ? "warning" : "done", seen);
    });
  }
}

const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
const listed = (text, fields) => fields.length > 0 && `${text} : ${fields.map(({ label }) => label).join(", ")}.`;

/**
 * Those of `mine` (changed fields with their values) that are to be saved; null if the person goes back to the form.
 * `row` is the row as it was read, `theirs` as it is now.
 */
async function merged(fields, row, theirs, mine) {
  const kept = new Set(mine);
  const touched = new Set(fields.filter(({ name, readOnly }) => !readOnly && !same(row[name], theirs[name])));
  const own = new Set(mine.map(({ field }) => field));
  const clashing = mine.filter(({ field }) => touched.has(field));
  const who = byWhom(theirs.updatedBy, await personOf(theirs.updatedBy).catch(() => theirs.updatedBy));
  const done = await ask("merge", {
    when: ` le ${instant(theirs.updatedAt)} ${who}`.trimEnd(),
    choices: clashing.map((one) => choice(one, row, theirs, kept)),
    own: listed("Changé par vous seul, à enregistrer", [...own.difference(touched)]),
    others: listed("Changé par l’autre seul, à garder", [...touched.difference(own)]),
  });
  return done ? [...kept] : null;
}

/** Mine or theirs of one field, and what it was before; what is chosen is `kept`. */
function choice(one, row, theirs, kept) {
  const { field, value } = one;
  const name = freshId("choice");
  const side = (text, shown, mine) => h("label", { class: "side" },
    h("input", { type: "radio", name, checked: mine, onchange: () => (mine ? kept.add(one) : kept.delete(one)) }),
    h("span", {}, h("strong", {}, text), nodeOf(field, shown)));
  return h("fieldset", { class: "clash" }, h("legend", {}, field.label),
    side("Votre valeur", value, true), side("L’autre valeur", theirs[field.name], false),
    h("p", { class: "quiet" }, "Avant : ", nodeOf(field, row[field.name])));
}
