/** Controls for one image and for a gallery: previews, and a file of this computer or an address to add. */

import { dataUrl } from "./api.js";
import { h, template } from "./h.js";
import { partsOf } from "./parts.js";
import { pictureOf } from "./show.js";
import { bytes } from "./words.js";

const preview = (value) => ({ node: pictureOf(value), read: () => value });

/** One image; `most` is how many bytes one may send. */
export function image(named, field, most) {
  const parts = partsOf(preview);
  const write = (value) => parts.write(value ? [value] : []);
  const add = (value) => {
    write(null);
    parts.add(value);
  };
  return { node: h("div", {}, parts.node, adding(add, most, named)), write, read: () => parts.read()[0] ?? null };
}

/** A list of images. */
export function images(named, field, most) {
  const parts = partsOf(preview);
  return { ...parts, node: h("div", {}, parts.node, adding(parts.add, most, named, true)) };
}

/** What brings an image: a file, whose size is checked before it is sent, or the address of an image elsewhere. */
function adding(add, most, named, multiple = false) {
  const room = Math.floor(most * 0.75) - 2_000; // a file grows by a third on its way, and the row needs some bytes
  const { node, said, file, address } = template("adding", { room: bytes(room) });
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
  file.multiple = multiple;
  file.setAttribute("aria-describedby", named["aria-describedby"]);
  file.addEventListener("change", picked);
  address.addEventListener("change", typed);
  address.addEventListener("keydown", typed);
  return node;
}
