/** What has just been done, in one line that screen readers hear; it stays for one page more. */

import { button, fill, h } from "./h.js";

const place = document.querySelector(".notices");
let fresh = false;

/** Says what was done; `kind` is `done` or `warning`; `more` are nodes behind the text. */
export function tell(text, kind = "done", ...more) {
  const close = button("×", () => fill(place), { "aria-label": "Fermer ce message", class: "plain" });
  fill(place, h("p", { class: kind }, h("span", {}, text, " ", more), close));
  fresh = true;
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

/** Takes a line away that was there on the page before, too. */
export function age() {
  if (!fresh) fill(place);
  fresh = false;
}
