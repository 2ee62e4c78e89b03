/** Makes elements: texts are only ever set as text, so nothing in a row can become part of the page. */

/**
 * An element with attributes and children. `onclick` and its like are listeners, `value`, `checked` and the other names
 * of `PROPERTIES` are set as properties. A value of null or false leaves the attribute out, as do such children.
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value ?? "";
    else if (value != null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  return element;
}

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "indeterminate"]);

/** A button with this text. */
export function button(text, onclick, attributes = {}) {
  return h("button", { type: "button", onclick, ...attributes }, text);
}

let last = 0;

/** A fresh id, to join a control with its label and its messages. */
export function freshId(name) {
  last += 1;
  return `${name}-${last}`;
}
