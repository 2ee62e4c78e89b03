/** What has just been done, in one line that screen readers hear; it stays for one page more. */

import { button, h } from "./h.js";

/** The place of the line. */
export const notices = h("div", { role: "status", class: "notices" });

let fresh = false;

/** Says what was done; `kind` is `done` or `warning`; `more` are nodes behind the text. */
export function tell(text, kind = "done", ...more) {
  const close = button("×", () => notices.replaceChildren(), { "aria-label": "Fermer ce message", class: "plain" });
  notices.replaceChildren(h("p", { class: kind }, h("span", {}, text, " ", more), close));
  fresh = true;
}

/** Does something that the service may refuse, and tells its refusal. */
export async function attempt(work) {
  try {
    await work();
  } catch (problem) {
    tell(problem.message, "warning");
  }
}

/** Takes a line away that was there on the page before, too. */
export function age() {
  if (!fresh) notices.replaceChildren();
  fresh = false;
}
