/** The form of a row: only what has changed is sent, and only while nobody else has changed the row. */

import { address as full, get, newKey, send } from "./api.js";
import { Control } from "./fields.js";
import { ask, button, fill, h, template } from "./h.js";
import { merged } from "./merge.js";
import { attempt, tell } from "./notices.js";
import { go, guard, link } from "./router.js";
import { mostBytes } from "./schema.js";
import { bytes, counted, quoted } from "./words.js";

const OUTCOMES = {
  not_applied: "Rien n’a été changé.",
  unknown: "On ne sait pas si c’est fait. « Réessayer » répète la demande, qui n’a d’effet qu’une fois.",
};
const GONE = "Fiche introuvable : elle a été supprimée entre-temps. La page Suppressions dit quand, et par qui.";
const ACCEPTED = {
  journal: "Accepté en mémoire, pas encore dans PostgreSQL : le service le garde sur disque jusque-là.",
  memory: "Accepté en mémoire, pas encore dans PostgreSQL : perdu si le service s’arrête avant.",
};

export class Form {
  /**
   * `method` and `address` are the route that takes the fields; `told` shows the fields of a row that one cannot
   * change; `removable` if one may delete the row here.
   */
  constructor(resource, fields, { method, address, told, removable = false }) {
    const editable = fields.filter((field) => field.editable);
    const most = mostBytes(fields);
    const controls = editable.map((field) => new Control(field, most));
    const parts = template("form", {
      fields: controls.map((control) => control.node),
      undo: () => this.take(this.row, this.etag),
      remove: () => this.delete(),
    });
    Object.assign(this, parts, { resource, fields, method, address, told, most, controls, isNew: method === "POST" });
    this.request = null; // the last one: if it is sent again, then under its own key
    if (this.isNew) this.save.textContent = "Créer";
    this.remove.hidden = !removable;
    this.node.addEventListener("input", () => this.tally());
    this.node.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    guard(() => this.changed.length > 0);
  }

  /** Shows a row as the service has it now. */
  take(row, etag) {
    Object.assign(this, { row, etag });
    this.told(row);
    for (const control of this.controls) control.write(row[control.field.name]);
    const shown = this.isNew ? null : this.resource.shownAt(row);
    this.view.hidden = !shown;
    if (shown) this.view.href = full(shown);
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
    const body = {};
    let wrong = null;
    for (const control of this.controls.filter(({ changed, field }) => changed || (this.isNew && field.required))) {
      const { name, required } = control.field;
      try {
        body[name] = control.read();
        if (this.isNew && required && !body[name]) throw new Error("Ce champ est obligatoire.");
      } catch (error) {
        control.say(error.message);
        wrong ??= control;
      }
    }
    wrong?.focus();
    return wrong ? null : body;
  }

  async submit() {
    const body = this.collected();
    if (body === null) return;
    const text = JSON.stringify(body);
    const { size } = new Blob([text]);
    const { method, address, etag, request, most } = this;
    if (request?.text !== text || request.etag !== etag) this.request = { text, etag, key: newKey() };
    if (!this.isNew && !this.changed.length) tell("Rien n’a changé.");
    else if (size > most) this.explain(`${bytes(size)}, au plus ${bytes(most)} : envoyez les images une à une.`);
    else await this.attempt(() => send(method, address, body, this.request), (answer) => this.saved(answer));
  }

  saved({ data, etag, accepted }) {
    this.take(data, etag);
    this.request = null;
    tell(ACCEPTED[accepted] ?? "Enregistré.", accepted ? "warning" : "done");
    if (this.isNew) go(link(this.resource.page, [data[this.resource.key]]));
  }

  /** Sends what the service may refuse; until it has succeeded, the form stays as it is. */
  async attempt(work, done) {
    fill(this.trouble);
    await attempt(async () => done(await work()), this.save, (problem) => {
      if (problem.status === 412) return this.choose();
      if (problem.status === 404) return this.explain(GONE);
      return this.refused(problem, problem.passing && (() => this.attempt(work, done)));
    });
  }

  /** Says each reason at its field, and the others below the form. */
  refused({ message, errors = [], status, outcome, requestId }, again) {
    const controlOf = ({ field }) => this.controls.find((control) => control.field.name === field.split(/[.[]/)[0]);
    const named = errors.filter(controlOf);
    for (const error of named) controlOf(error).say(error.message);
    if (named.length) controlOf(named[0]).focus();
    const all = named.length > 0 && named.length === errors.length;
    const said = all ? "Les champs marqués sont à corriger." : message.replace(/[^.!?…]$/, "$&.");
    const request = status >= 500 && requestId && `(Demande ${requestId}.)`;
    this.explain([said, !all && OUTCOMES[outcome], request].filter(Boolean).join(" "), again);
  }

  explain(text, again) {
    fill(this.trouble, h("p", {}, text), again && button("Réessayer", again, { class: "primary" }));
    this.trouble.scrollIntoView({ block: "nearest" });
  }

  /** Somebody else has changed the row since it was read: the person chooses field by field, then that is saved. */
  async choose() {
    await this.attempt(() => get(this.address), async ({ data, etag }) => {
      if (this.changed.length === 0) { // a delete: nothing of the person's own is at stake
        this.take(data, etag);
        this.explain("Cette fiche a changé entre-temps. La voici relue ; rien n’a été fait.");
        return;
      }
      const mine = this.changed.map((control) => ({ control, field: control.field, value: control.read() }));
      const kept = await merged(this.fields, this.row, data, mine);
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
    await this.attempt(() => send("DELETE", this.address, undefined, request), ({ accepted }) => {
      const seen = h("a", { href: link("suppressions") }, "Voir les suppressions");
      tell(`${name} est supprimé. ${ACCEPTED[accepted] ?? ""}`, accepted ? "warning" : "done", seen);
      go(link(this.resource.page));
    });
  }
}
