/** One control for each kind of field: it gives its value as the API takes it, and throws what is wrong in it. */

import { rowsOf } from "./api.js";
import { fill, freshId, h } from "./h.js";
import { images, pairs } from "./parts.js";
import { REFERENCES } from "./resources.js";

/**
 * For each kind, how a control is made: its node, `write(value)` shows a value of the API, `read()` gives one. One with
 * `add(value)` has several controls of the browser.
 */
const KINDS = {
  text: (named, { maxLength }) => simple("input", { ...named, maxlength: maxLength }),
  prose: (named, { maxLength }) => simple("textarea", { ...named, rows: 5, maxlength: maxLength }),
  password: (named) => simple("input", { ...named, type: "password", autocomplete: "new-password" }),
  time: (named) => simple("input", { ...named, type: "time" }),
  number: (named) => simple("input", { ...named, inputmode: "decimal" }, decimal, comma),
  json: (named) => simple("textarea", { ...named, rows: 4, class: "code", spellcheck: "false" }, json, shownJson),
  lines: (named) => simple("textarea", { ...named, rows: 3 }, lines, (value) => value.join("\n")),
  day, flag, choice, pairs, images,
};
Object.assign(KINDS, { money: KINDS.number, image: KINDS.images });

/** A labelled control of a field; `most` bytes may be sent. */
export class Control {
  constructor(field, most) {
    const { name, kind, label, required } = field;
    const [id, hint, error] = [name, "hint", "error"].map(freshId);
    const list = name in REFERENCES && suggestions(REFERENCES[name]);
    const described = { id, list: list && list.id, required, "aria-describedby": `${hint} ${error}` };
    this.field = field;
    this.said = h("p", { class: "error", id: error });
    this.part = KINDS[kind](described, field, most);
    const [box, head] = this.part.add ? ["fieldset", "legend"] : ["div", "label"];
    this.node = h(box, { class: `field ${kind}`, oninput: () => this.say("") },
      h(head, { for: head === "label" && id }, label, required && h("small", {}, " (obligatoire)")),
      this.part.node, list, h("p", { class: "hint", id: hint }, field.hint), this.said);
  }

  /** Shows a value of the API; the control counts as unchanged until a person changes it. */
  write(value) {
    this.part.write(value);
    this.untouched = JSON.stringify(this.read());
    this.say("");
  }

  get changed() {
    return JSON.stringify(this.read()) !== this.untouched;
  }

  /** What the control holds as `value`, or what is wrong in it as `error`. A text that may not be null is empty. */
  read() {
    const { nullable, kind, required } = this.field;
    try {
      const value = this.part.read();
      if (required && !value) return { error: "Ce champ est obligatoire." };
      return { value: value === null && !nullable && /text|prose/.test(kind) ? "" : value };
    } catch (error) {
      return { error: error.message };
    }
  }

  /** Says what is wrong; an empty text takes it back. */
  say(text) {
    this.said.textContent = text;
    this.node.querySelector("input, textarea, select")?.setAttribute("aria-invalid", text !== "");
  }

  focus() {
    this.node.querySelector("input, textarea, select, button").focus();
  }
}

/** The rows of another kind that a field may name, to choose from as soon as they are read. */
function suggestions({ path, key, nameOf }) {
  const list = h("datalist", { id: freshId("list") });
  const draw = ({ rows }) => fill(list, rows.map((row) => h("option", { value: row[key] }, nameOf(row))));
  rowsOf(path).then(draw).catch(() => {}); // one can type the key, too
  return list;
}

/** A control of the browser whose text, read by `parse`, is the value; the empty text is null. */
function simple(tag, attributes, parse = (text) => text, format = String) {
  const node = h(tag, attributes);
  const write = (value) => (node.value = value == null ? "" : format(value));
  return { node, write, read: () => (node.value.trim() === "" ? null : parse(node.value)) };
}

/** A day; the hour behind it, which the page does not show, stays what it is. */
function day(named) {
  let hour = "";
  const format = (text) => {
    hour = text.slice(10);
    return text.slice(0, 10);
  };
  const limits = { type: "date", min: "1800-01-01", max: "2200-12-31" };
  return simple("input", { ...named, ...limits }, (text) => text + hour, format);
}

function flag({ id }) {
  const node = h("input", { id, type: "checkbox" });
  return { node, write: (value) => (node.checked = value === true), read: () => node.checked };
}

/** One of a few words; a word of old data that is none of them may stay. */
function choice(named, { nullable, words }) {
  const part = simple("select", named);
  const write = (value) => {
    const known = { ...(nullable && { "": "" }), ...(value && { [value]: value }), ...words };
    fill(part.node, Object.entries(known).map(([word, text]) => h("option", { value: word }, text)));
    part.write(value);
  };
  return { ...part, write };
}

const comma = (value) => String(value).replace(".", ",");

function decimal(text) {
  const plain = text.replace(/[\s€]/g, "").replace(",", ".");
  if (!/^-?\d+(\.\d+)?$/.test(plain)) throw new Error("Un nombre est attendu, comme 12,50.");
  return Number(plain);
}

const lines = (text) => text.split("\n").map((line) => line.trim()).filter(Boolean);

/** The text itself, once it is known to hold an object: the service reads it more strictly than the browser does. */
function json(text) {
  if (!/^\s*{/.test(text)) throw new Error("Un objet est attendu : { … }.");
  try {
    return JSON.parse(text) && text;
  } catch (error) {
    const [, line, column] = /line (\d+) column (\d+)/.exec(error.message) ?? [];
    const place = line ? ` (ligne ${line}, colonne ${column})` : "";
    throw new Error(`Ce texte n’est pas du JSON${place}.`, { cause: error });
  }
}

/** JSON in lines; as it is, if a number in it has more digits than the browser would keep. */
const shownJson = (text) => (/\d{16}/.test(text) ? text : JSON.stringify(JSON.parse(text), null, 2));
