/** Who is logged in. The token is in sessionStorage: it goes with the tab, and no other tab has it. */

import { hooks, send } from "./api.js";
import { dialog } from "./dialog.js";
import { freshId, h } from "./h.js";

const KEPT = "retrobus-studio";
const MANAGERS = new Set(["ADMIN", "BUREAU", "PRESIDENT", "VICE_PRESIDENT", "TRESORIER", "SECRETAIRE_GENERAL"]);
const EXPIRED = "Votre session a expiré. Reconnectez-vous : ce que vous avez saisi reste là.";

const SECRET = { autocomplete: "current-password", required: true };
const NAME = { autocomplete: "username", required: true, spellcheck: "false", autocapitalize: "none" };

let current = JSON.parse(sessionStorage.getItem(KEPT));
let renewing = null;

hooks.token = () => current?.token ?? null;
hooks.renewed = () => {
  renewing ??= renewed();
  return renewing.finally(() => (renewing = null));
};

/** Whether the same person has logged in again; for another one the page begins anew. */
async function renewed() {
  const { id, email } = current.user;
  const done = await dialog("Se reconnecter", (answer) => loginForm(() => answer(true), EXPIRED, email));
  if (done && current.user.id !== id) location.reload();
  return Boolean(done) && current.user.id === id;
}

/** The member who is logged in: id, email, firstName, lastName, role; null before the login. */
export const user = () => current?.user ?? null;

/** Whether the member may change vehicles, events and members. */
export const isManager = () => MANAGERS.has(current?.user.role);

/** Whether the member may change rights, decide conflicts and make backups. */
export const isAdmin = () => current?.user.role === "ADMIN";

/** Forgets the token, and all of the page with it. */
export function logOut() {
  sessionStorage.removeItem(KEPT);
  location.reload();
}

/** The form with which a person logs in; calls `done` afterwards. */
export function loginForm(done, why = "", name = "") {
  const identifier = freshId("identifier");
  const password = freshId("password");
  const said = h("p", { role: "alert", class: "error" });
  const enter = h("button", { class: "primary" }, "Se connecter");
  const login = async (event) => {
    event.preventDefault();
    enter.disabled = true;
    said.textContent = "";
    try {
      const typed = event.target.elements;
      await logIn(typed.email.value, typed.password.value);
      done();
    } catch (problem) {
      said.textContent = problem.message;
    }
    enter.disabled = false;
  };
  return h("form", { class: "login", onsubmit: login },
    why && h("p", {}, why),
    h("label", { for: identifier }, "Adresse e-mail ou matricule"),
    h("input", { id: identifier, name: "email", value: name, ...NAME }),
    h("label", { for: password }, "Mot de passe"),
    h("input", { id: password, name: "password", type: "password", ...SECRET, autofocus: name !== "" }),
    said,
    h("div", { class: "actions" }, enter),
  );
}

async function logIn(email, password) {
  const { data } = await send("POST", "/api/auth/login", { email, password });
  current = { token: data.token, user: data.user };
  sessionStorage.setItem(KEPT, JSON.stringify(current));
}
