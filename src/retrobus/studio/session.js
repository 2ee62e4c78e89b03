/** Who is logged in. The token is in sessionStorage: it goes with the tab, and no other tab has it. */

import { hooks, send } from "./api.js";
import { ask, attempt, template } from "./h.js";

const KEPT = "retrobus-studio";
const MANAGERS = new Set(["ADMIN", "BUREAU", "PRESIDENT", "VICE_PRESIDENT", "TRESORIER", "SECRETAIRE_GENERAL"]);

let current = JSON.parse(sessionStorage.getItem(KEPT));
let renewing = null;

hooks.token = () => current?.token ?? null;
hooks.renewed = () => (renewing ??= renewed().finally(() => (renewing = null)));

/** Whether the same person has logged in again; for another one the page begins anew. */
async function renewed() {
  const { id, email } = current.user;
  const login = loginForm(() => login.closest("dialog").close("done"), email);
  const done = await ask("renewal", { login });
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
export function loginForm(done, name = "") {
  const { node, enter, said } = template("login");
  const { email, password } = node.elements;
  email.value = name;
  password.autofocus = name !== "";
  const logIn = async () => {
    const { data } = await send("POST", "/api/auth/login", { email: email.value, password: password.value });
    current = { token: data.token, user: data.user };
    sessionStorage.setItem(KEPT, JSON.stringify(current));
    done();
  };
  node.addEventListener("submit", (event) => {
    event.preventDefault();
    said.textContent = "";
    attempt(logIn, enter, (problem) => (said.textContent = problem.message));
  });
  return node;
}
