/** Controls for one image and for a gallery: previews, and a file of this computer or an address to add. */

import { dataUrl } from "./api.js";
import { button, freshId, h } from "./h.js";
import { partsOf } from "./parts.js";
import { pictureOf } from "./show.js";
import { bytes } from "./words.js";

const TYPES = "image/png,image/jpeg,image/gif,image/webp,image/avif";

/** One image; `most` is how many bytes one may send. */
export function image(named, field, most) {
  const view = h("div", { class: "parts" });
  let value = null;
  const write = (wanted) => {
    value = wanted ?? null;
    view.replaceChildren(...(value ? [h("div", {}, pictureOf(value), button("Retirer", () => change(null)))] : []));
  };
  const change = (wanted) => {
    write(wanted);
    view.dispatchEvent(new Event("input", { bubbles: true }));
  };
  return { node: h("div", {}, view, adding(change, most, named)), write, read: () => value };
}

/** A list of images. */
export function images(named, field, most) {
  const parts = partsOf((value) => ({ node: pictureOf(value), read: () => value }));
  return { ...parts, node: h("div", {}, parts.node, adding(parts.add, most, { ...named, multiple: true })) };
}

/** What brings an image: a file, whose size is checked before it is sent, or the address of an image elsewhere. */
function adding(add, most, { multiple, ...named }) {
  const room = Math.floor(most * 0.75) - 2_000; // a file grows by a third on its way, and the row needs some bytes
  const said = h("p", { class: "error", role: "alert" });
  const file = h("input", { type: "file", ...named, accept: TYPES, multiple });
  const address = h("input", { id: freshId("address"), placeholder: "https://…" });
  const picked = async () => {
    const large = [...file.files].filter(({ size }) => size > room);
    said.textContent = large.map(({ name, size }) => `${name} pèse ${bytes(size)} : au plus ${bytes(room)}.`).join(" ");
    for (const one of file.files) if (one.size <= room) add(await dataUrl(one));
    file.value = "";
  };
  const typed = (event) => {
    if (event.key && event.key !== "Enter") return;
    event.preventDefault(); // Enter adds the address, and does not send the form
    if (address.value.trim()) add(address.value.trim());
    address.value = "";
  };
  file.addEventListener("change", picked);
  address.addEventListener("change", typed);
  address.addEventListener("keydown", typed);
  return h("div", { class: "adding" },
    h("div", {}, h("label", { for: file.id }, `Un fichier de ${bytes(room)} au plus`), file),
    h("div", {}, h("label", { for: address.id }, "ou une adresse"), address), said);
}
