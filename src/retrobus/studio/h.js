/**
 * Makes what a person sees: elements, dialogs, tables, and the line of what was just done. Texts are only ever set as
 * text, so nothing in a row can become part of the page.
 */

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden"]);
let last = 0;

/**
 * An element with attributes and children. `onclick` and its like are listeners, `value`, `checked` and the other names
 * of `PROPERTIES` are set as properties. A value of null or false leaves the attribute out, as do such children.
 */
export function h(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  fill(element, content);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value ?? "";
    else if (value != null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

/** Puts nodes and texts into an element in place of what it holds. */
export function fill(element, ...content) {
  element.replaceChildren(...content.flat(Infinity).filter((child) => child != null && child !== false));
}

/** Fills parts of a page, by their names; a function is what a click on the part does. */
export function fillAll(parts, content) {
  for (const [name, found] of Object.entries(content)) {
    if (typeof found === "function") parts[name].addEventListener("click", found);
    else fill(parts[name], found);
  }
}

/** A copy of a template of index.html as `node`, and its parts by their `data-part`, with this content. */
export function template(name, content = {}) {
  const node = document.getElementById(name).content.firstElementChild.cloneNode(true);
  const named = [...node.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]);
  const parts = { node, ...Object.fromEntries(named) };
  fillAll(parts, content);
  return parts;
}

/**
 * Shows a dialog of index.html with this content, and promises the value of the button that closes it; "" means no.
 * The focus stays inside, Escape says no, then the focus goes back to where it was.
 */
export function ask(name, content) {
  const { node } = template(name, content);
  document.body.append(node);
  node.showModal();
  return new Promise((resolve) => node.addEventListener("close", () => {
    node.remove();
    resolve(node.returnValue);
  }));
}

const texts = document.getElementById("texts").content;

/** A sentence of index.html, by its name. */
export const phrase = (name) => texts.querySelector(`[data-text="${name}"]`).textContent;

/** A button with this text. */
export const button = (said, onclick, attributes = {}) => h("button", { type: "button", onclick, ...attributes }, said);

/** Names, each with what it stands for. */
export const definitions = (entries) =>
  entries.map(([name, ...content]) => h("div", {}, h("dt", {}, name), h("dd", {}, content)));

/** A fresh id, to join a control with its label and its messages. */
export const freshId = (name) => `${name}-${++last}`;

/**
 * A table of rows; on a small screen each row is a card. A column has a `label` and a `cell(row)`, perhaps a `kind`,
 * which is a class of its cells; in the column that `leads`, they are the heads of their rows. `head(column)` may give
 * something in place of the label.
 */
export function table(caption, columns, rows, head = ({ label }) => label) {
  const heads = columns.map((column) => h("th", { scope: "col", class: column.kind }, head(column)));
  return h("div", { class: "table" }, h("table", {},
    h("caption", { class: "visually-hidden" }, caption),
    h("thead", {}, h("tr", {}, heads)),
    h("tbody", {}, rows.map((row) => line(columns, row)))));
}

/** One row of such a table. */
export const line = (columns, row) => h("tr", {}, columns.map(({ label, kind, leads, cell }) => (leads
  ? h("th", { scope: "row" }, cell(row))
  : h("td", { "data-label": label, class: kind }, cell(row)))));

const notice = document.querySelector(".notices");

/** Takes the line of what was just done away. */
export const hush = () => fill(notice);

/** Says what was just done; `kind` is `done` or `warning`; `more` are nodes behind the text. */
export function tell(text, kind = "done", ...more) {
  const close = button("×", hush, { "aria-label": "Fermer ce message", class: "plain" });
  fill(notice, h("p", { class: kind }, h("span", {}, text, " ", more), close));
}

/** Does something that the service may refuse: `refused(problem)` tells it. The `pressed` button waits for the end. */
export async function attempt(work, pressed = {}, refused = (problem) => tell(problem.message, "warning")) {
  pressed.disabled = true;
  try {
    await work();
  } catch (problem) {
    await refused(problem);
  }
  pressed.disabled = false;
}
