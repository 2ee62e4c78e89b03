/** A list of parts in a form: each can be moved up and removed. */

import { button, fill, h } from "./h.js";

/** A control whose value is a list: `make(value)` gives the node of one part and its `read()`; `add` the new part. */
export function partsOf(make) {
  const node = h("ol", { class: "parts" });
  const readers = new WeakMap();
  const changed = () => node.dispatchEvent(new Event("input", { bubbles: true }));
  const itemOf = (value) => {
    const part = make(value);
    const item = h("li", {}, part.node,
      button("↑", () => up(item), { "aria-label": "Monter", title: "Monter" }),
      button("×", () => remove(item), { "aria-label": "Retirer", title: "Retirer" }));
    readers.set(item, part.read);
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
    const item = itemOf(value);
    node.append(item);
    changed();
    return item;
  };
  const write = (values) => fill(node, (values ?? []).map(itemOf));
  return { node, add, write, read: () => [...node.children].map((item) => readers.get(item)()) };
}
