/** The last changes on the dashboard, as they happen. */

import { rowsOf } from "./api.js";
import { deleter } from "./deletions.js";
import { h, template } from "./h.js";
import { link } from "./router.js";
import { follow } from "./stream.js";
import { byWhom, personOf, rowLink } from "./told.js";
import { instant } from "./words.js";

const MOST = 20; // changes that are shown

/** The last changes, the latest first; deletions say who and when. */
export class Recent {
  constructor() {
    Object.assign(this, template("recent"), { following: false, seen: new Set() });
  }

  away() {
    if (!this.following) this.state.textContent = "– seul PostgreSQL les connaît, et il ne répond pas";
  }

  async begin({ changes, cursor }, signal) {
    if (this.following) return;
    this.following = true;
    for (const change of changes.toReversed()) this.add(change);
    await follow(cursor, signal, (change) => this.add(change), (text) => (this.state.textContent = `– ${text}`));
    this.following = false; // the cursor no longer holds: the next look brings another
  }

  add(change) {
    if (this.seen.has(change.version)) return;
    this.seen.add(change.version);
    const { row } = change;
    const fresh = row && row.createdAt === row.updatedAt;
    const what = h("span", { class: "quiet" }, row ? ` – ${fresh ? "créé" : "modifié"}` : " – supprimé");
    this.list.prepend(h("li", { class: row ? "" : "gone" }, rowLink(change), what));
    while (this.list.children.length > MOST) this.list.lastChild.remove();
    explain(change, what).catch(() => {});
  }
}

/** Adds who made a change, and when. */
async function explain({ resource, key, version, row }, what) {
  if (row) {
    what.append(` ${byWhom(row.updatedBy, await personOf(row.updatedBy))}, le ${instant(row.updatedAt)}`);
    return;
  }
  const { rows } = await rowsOf("/api/deletions", { resource, key }, { limit: 5 });
  const one = rows.find((found) => found.version === version) ?? rows[0];
  what.append(` ${deleter(one)}, le ${instant(one.deletedAt)} `,
    h("a", { href: link("suppressions", [], { resource, key }) }, "retrouver"));
}
