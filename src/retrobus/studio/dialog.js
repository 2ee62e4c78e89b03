/** Dialogs: the page waits for one answer. Focus stays inside, Escape says no, then focus goes back to where it was. */

import { button, freshId, h } from "./h.js";

/**
 * Shows a dialog and promises the answer that its content gives; null if the person closes it.
 * `content` is called with `answer(value)`, and returns nodes.
 */
export function dialog(title, content, attributes = {}) {
  return new Promise((resolve) => {
    const id = freshId("title");
    const box = h("dialog", { "aria-labelledby": id, ...attributes }, h("h2", { id }, title));
    let found = null;
    const answer = (value) => {
      found = value;
      box.close();
    };
    box.append(h("div", { class: "inside" }, content(answer)));
    box.addEventListener("close", () => {
      box.remove();
      resolve(found);
    });
    document.body.append(box);
    box.showModal();
  });
}

/** Asks a question; whether the person says yes. `no` has the focus: a stray Enter does no harm. */
export function confirm(title, text, yes, { danger = false, no = "Annuler" } = {}) {
  return dialog(title, (answer) => [
    h("p", {}, text),
    h("div", { class: "actions" },
      button(no, () => answer(null), { autofocus: true }),
      button(yes, () => answer(true), { class: danger ? "danger" : "primary" }),
    ),
  ]).then(Boolean);
}
