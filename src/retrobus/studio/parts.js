/** A list of parts in a form: each can be moved up and removed. */

import { button, h } from "./h.js";

/** A control whose value is a list: `make(value)` gives the node of one part and its `read()`; `add` the new part. */
export function partsOf(make) {
  const node = h("ol", { class: "parts" });
  const readers = new Map();
  const changed = () => node.dispatchEvent(new Event("input", { bubbles: true }));
  const insert = (value) => {
    const part = make(value);
    const item = h("li", {}, part.node,
      button("↑", () => up(item), { "aria-label": "Monter", title: "Monter" }),
      button("×", () => remove(item), { "aria-label": "Retirer", title: "Retirer" }));
    readers.set(item, part.read);
    node.append(item);
    return item;
  };
  const up = (item) => {
    item.previousElementSibling?.before(item);
    item.querySelector("button").focus();
    changed();
  };
  const remove = (item) => {
    const next = item.nextElementSibling ?? item.previousElementSibling ?? node.parentElement;
    item.remove();
    next.querySelector("button, input").focus();
    changed();
  };
  const add = (value) => {
    const item = insert(value);
    changed();
    return item;
  };
  const write = (values) => {
    node.replaceChildren();
    for (const value of values ?? []) insert(value);
  };
  return { node, add, write, read: () => [...node.children].map((item) => readers.get(item)()) };
}
