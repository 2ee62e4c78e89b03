/** The form of a row: only what has changed is sent, and only while nobody else has changed the row. */

import { address as full, get, newKey, send } from "./api.js";
import { confirm } from "./dialog.js";
import { Control } from "./fields.js";
import { button, h } from "./h.js";
import { merged } from "./merge.js";
import { tell } from "./notices.js";
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
  /** `method` and `address` are the route that takes the fields; `choices` the values to choose from, by field. */
  constructor(resource, fields, { method, address, choices, told = () => {} }) {
    Object.assign(this, { resource, fields, method, address, told, isNew: method === "POST", most: mostBytes(fields) });
    const editable = fields.filter((field) => field.editable);
    this.controls = editable.map((field) => new Control(field, this.most, choices[field.name]));
    this.trouble = h("div", { role: "alert", class: "trouble" });
    this.count = h("span", { class: "quiet", role: "status" });
    this.save = h("button", { class: "primary" }, this.isNew ? "Créer" : "Enregistrer");
    this.request = null; // the last one: if it is sent again, then under its own key
  }

  /** Shows a row as the service has it now; `told` shows those of its fields that one cannot change. */
  take(row, etag) {
    Object.assign(this, { row, etag });
    this.told(row);
    for (const control of this.controls) control.write(row[control.field.name]);
    this.trouble.replaceChildren();
    this.tally();
  }

  /** The form; `removable` if one may delete the row here. */
  node(removable) {
    const undo = button("Annuler les changements", () => this.take(this.row, this.etag));
    const shown = this.isNew ? null : this.resource.shownAt(this.row);
    const onsubmit = (event) => {
      event.preventDefault();
      this.submit();
    };
    guard(() => this.changed.length > 0);
    return h("form", { novalidate: true, onsubmit, oninput: () => this.tally() },
      h("div", { class: "fields" }, this.controls.map((control) => control.node)),
      h("div", { class: "bar" }, this.trouble, h("div", { class: "actions" },
        this.save, undo, this.count, h("span", { class: "end" }),
        shown && h("a", { class: "button", href: full(shown), target: "_blank" }, "Vue publique"),
        removable && button("Supprimer…", () => this.remove(), { class: "danger" }))));
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
    const wrong = this.controls.filter((control) => {
      const wanted = this.isNew && control.field.required;
      if (!wanted && !control.changed) return false;
      try {
        body[control.field.name] = control.read();
      } catch (error) {
        control.say(error.message);
        return true;
      }
      if (!wanted || body[control.field.name]) return false;
      control.say("Ce champ est obligatoire.");
      return true;
    });
    wrong[0]?.focus();
    return wrong.length ? null : body;
  }

  async submit() {
    const body = this.collected();
    if (body === null) return;
    if (!this.isNew && !this.changed.length) {
      tell("Rien n’a changé.");
      return;
    }
    const text = JSON.stringify(body);
    const { size } = new Blob([text]);
    if (size > this.most) {
      this.explain({ message: `${bytes(size)}, au plus ${bytes(this.most)} : envoyez les images une à une.` });
      return;
    }
    const { etag, request } = this;
    if (request?.text !== text || request.etag !== etag) this.request = { text, etag, key: newKey() };
    await this.attempt(() => send(this.method, this.address, body, this.request), (answer) => this.saved(answer));
  }

  saved({ data, etag, accepted }) {
    this.take(data, etag);
    this.request = null;
    tell(ACCEPTED[accepted] ?? "Enregistré.", accepted ? "warning" : "done");
    if (this.isNew) go(link(this.resource.page, [data[this.resource.key]]));
  }

  /** Sends what the service may refuse; until it has succeeded, the form stays as it is. */
  async attempt(work, done) {
    this.trouble.replaceChildren();
    this.save.disabled = true;
    try {
      await done(await work());
    } catch (problem) {
      if (problem.status === 412) await this.choose();
      else if (problem.status === 404) this.explain({ message: GONE });
      else this.refused(problem, problem.passing && (() => this.attempt(work, done)));
    }
    this.save.disabled = false;
  }

  /** Says each reason at its field, and the others below the form. */
  refused(problem, again) {
    const found = (name) => this.controls.find(({ field }) => field.name === name.split(/[.[]/)[0]);
    const named = (problem.errors ?? []).filter(({ field }) => found(field));
    for (const { field, message } of named) found(field).say(message);
    if (named.length) found(named[0].field).focus();
    const all = named.length > 0 && named.length === problem.errors.length;
    this.explain(all ? { message: "Les champs marqués sont à corriger." } : problem, again);
  }

  explain({ message, status, outcome, requestId }, again) {
    const said = message.replace(/[^.!?…]$/, "$&.");
    const more = [outcome && OUTCOMES[outcome], status >= 500 && requestId && `(Demande ${requestId}.)`];
    const retry = again ? [button("Réessayer", again, { class: "primary" })] : [];
    this.trouble.replaceChildren(h("p", {}, [said, ...more].filter(Boolean).join(" ")), ...retry);
    this.trouble.scrollIntoView({ block: "nearest" });
  }

  /** Somebody else has changed the row since it was read: the person chooses field by field, then that is saved. */
  async choose() {
    await this.attempt(() => get(this.address), async ({ data, etag }) => {
      if (this.changed.length === 0) { // a delete: nothing of the person's own is at stake
        this.take(data, etag);
        this.explain({ message: "Cette fiche a changé entre-temps. La voici relue ; rien n’a été fait." });
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

  async remove() {
    const name = quoted(this.resource.nameOf(this.row));
    const trace = "Cette fiche disparaît pour tous ; la page Suppressions en garde la trace.";
    const text = `${trace} Seule une sauvegarde la fait revenir.`;
    if (!(await confirm(`Supprimer ${this.resource.the} ${name} ?`, text, "Supprimer", { danger: true }))) return;
    const request = { etag: this.etag, key: newKey() };
    await this.attempt(() => send("DELETE", this.address, undefined, request), ({ accepted }) => {
      const seen = h("a", { href: link("suppressions") }, "Voir les suppressions");
      tell(`${name} est supprimé. ${ACCEPTED[accepted] ?? ""}`, accepted ? "warning" : "done", seen);
      go(link(this.resource.page));
    });
  }
}
