/** Controls whose value is a list: pairs of texts, and images from files of this computer or from addresses. */

import { dataUrl } from "./api.js";
import { button, fill, h, template } from "./h.js";
import { bytes, pictureOf } from "./show.js";

/** Such a list: each part can be moved up and removed. `make(value)` gives the node of one part and its `read()`. */
function partsOf(make) {
  const node = h("ol", { class: "parts" });
  const changed = (item, focused) => {
    item?.querySelector(focused)?.focus();
    node.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const itemOf = (value) => {
    const part = make(value);
    const item = h("li", {}, part.node,
      button("↑", () => up(item), { "aria-label": "Monter", title: "Monter" }),
      button("×", () => remove(item), { "aria-label": "Retirer", title: "Retirer" }));
    item.read = part.read;
    return item;
  };
  const up = (item) => {
    item.previousElementSibling?.before(item);
    changed(item, "button");
  };
  const remove = (item) => {
    const next = item.nextElementSibling ?? item.previousElementSibling ?? node.parentElement;
    item.remove();
    changed(next, "input, button:last-child");
  };
  const add = (value) => {
    node.append(itemOf(value));
    changed(node.lastChild, "input");
  };
  const write = (values) => fill(node, (values ?? []).map(itemOf));
  return { node, add, write, read: () => [...node.children].map((item) => item.read()) };
}

const input = (name, value) => h("input", { value, "aria-label": name, placeholder: name });

/** Labels with values. */
export function pairs() {
  const parts = partsOf(({ label = "", value = "" }) => {
    const inputs = [input("Intitulé", label), input("Valeur", value)];
    const read = () => ({ label: inputs[0].value, value: inputs[1].value });
    return { node: h("div", { class: "pair" }, inputs), read };
  });
  return { ...parts, node: h("div", {}, parts.node, button("Ajouter une ligne", () => parts.add({}))) };
}

/** A list of images, or one alone; `most` is how many bytes one may send. */
export function images(described, { kind }, most) {
  const single = kind === "image";
  const parts = partsOf((value) => ({ node: pictureOf(value), read: () => value }));
  const add = (value) => {
    if (single) parts.write([]);
    parts.add(value);
  };
  const node = h("div", {}, parts.node, adding(add, most, described, !single));
  if (!single) return { ...parts, node };
  return { node, add, write: (value) => parts.write(value && [value]), read: () => parts.read()[0] ?? null };
}

/** What brings an image: a file, whose size is checked before it is sent, or the address of an image elsewhere. */
function adding(add, most, described, multiple) {
  const room = Math.floor(most * 0.75) - 2_000; // a file grows by a third on its way, and the row needs some bytes
  const { node, said, file, address } = template("adding", { room: bytes(room) });
  const picked = async () => {
    const large = [...file.files].filter(({ size }) => size > room);
    said.textContent = large.map(({ name, size }) => `${name} pèse ${bytes(size)} : au plus ${bytes(room)}.`).join(" ");
    for (const one of file.files) if (one.size <= room) add(await dataUrl(one));
    file.value = "";
  };
  const typed = () => {
    if (address.value.trim()) add(address.value.trim());
    address.value = "";
  };
  file.multiple = multiple;
  file.setAttribute("aria-describedby", described["aria-describedby"]);
  file.addEventListener("change", picked);
  address.addEventListener("change", typed);
  return node;
}
