/** The last changes on the dashboard, as they happen. */

import { get } from "./api.js";
import { h } from "./h.js";
import { link } from "./router.js";
import { follow } from "./stream.js";
import { author, deleter, rowLink } from "./told.js";
import { instant } from "./words.js";

const MOST = 20; // changes that are shown

/** The last changes, the latest first; deletions say who and when. */
export class Recent {
  constructor() {
    this.list = h("ol", { class: "recent" });
    this.state = h("span", { class: "quiet" }, "");
    this.node = h("section", { class: "card" }, h("h2", {}, "Derniers changements ", this.state),
      h("div", { role: "log", "aria-label": "Derniers changements" }, this.list));
    this.following = false;
    this.seen = new Set();
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
    this.explain(change, what).catch(() => {});
  }

  async explain({ resource, key, version, row }, what) {
    if (row) what.append(` ${await author(row.updatedBy)}, le ${instant(row.updatedAt)}`);
    else {
      const { data } = await get(`/api/deletions?${new URLSearchParams({ resource, key, limit: 5 })}`);
      const one = data.deletions.find((found) => found.version === version) ?? data.deletions[0];
      what.append(` ${await deleter(one)}, le ${instant(one.deletedAt)} `,
        h("a", { href: link("suppressions", [], { resource, key }) }, "retrouver"));
    }
  }
}
