/** The last changes on the dashboard, as they happen: the feed of changes as a stream, read to the end of the page. */

import { open, rowsOf } from "./api.js";
import { deleter } from "./deletions.js";
import { fill, h, template } from "./h.js";
import { link } from "./router.js";
import { byWhom, instant, personOf, rowLink } from "./show.js";

const MOST = 20; // changes that are shown
const AGAIN = 3_000; // milliseconds before the stream is opened again

/** The last changes, the latest first; deletions say who and when. */
export class Recent {
  constructor(signal) {
    Object.assign(this, template("recent"), { signal, following: false, seen: new Set(), untold: [] });
  }

  /**
   * Shows what the status tells, and follows the stream from there on unless that is done already. What could not be
   * asked before, such as the name of a member, is asked again.
   */
  async begin({ changes, cursor }) {
    for (const tell of this.untold.splice(0)) tell();
    if (this.following) return;
    if (!cursor) return fill(this.state, "seul PostgreSQL les connaît, et il ne répond pas");
    this.following = true;
    for (const change of changes.toReversed()) this.add(change);
    this.cursor = cursor;
    await this.follow();
    this.following = false; // the cursor no longer holds: the next look brings another
  }

  /** Reads the stream from the cursor on, again and again; returns if the cursor no longer holds. */
  async follow() {
    while (!this.signal.aborted) {
      try {
        for await (const { id, event, data } of events(`/api/changes/stream?since=${this.cursor}`, this.signal)) {
          if (event === "problem") throw new Error(data.title);
          if (event === "message") this.add(data);
          else fill(this.state, "En direct");
          this.cursor = id ?? this.cursor;
        }
      } catch (problem) {
        if (this.signal.aborted || problem.status === 410) return;
        fill(this.state, `Interrompu, la page essaie encore : ${problem.message}`);
      }
      await new Promise((resolve) => setTimeout(resolve, AGAIN));
    }
  }

  add(change) {
    if (this.seen.has(change.version)) return;
    this.seen.add(change.version);
    const { row } = change;
    const fresh = row && row.createdAt === row.updatedAt;
    const what = h("span", { class: "quiet" }, row ? ` – ${fresh ? "créé" : "modifié"}` : " – supprimé");
    this.list.prepend(h("li", { class: row ? "" : "gone" }, rowLink(change), what));
    while (this.list.children.length > MOST) this.list.lastChild.remove();
    const tell = () => explain(change).then((nodes) => what.append(" ", ...nodes), () => this.untold.push(tell));
    tell();
  }
}

/** Who made a change, and when. */
async function explain({ resource, key, version, row }) {
  if (row) return [byWhom(row.updatedBy, await personOf(row.updatedBy)), `, le ${instant(row.updatedAt)}`];
  const { rows } = await rowsOf("/api/deletions", { resource, key }, { limit: 5 });
  const one = rows.find((found) => found.version === version) ?? rows[0];
  if (!one) return []; // a member who was erased for good
  const back = h("a", { href: link("suppressions", [], { resource, key }) }, "retrouver");
  return [`${deleter(one)}, le ${instant(one.deletedAt)} `, back];
}

/** The events of a stream. EventSource cannot send a token, so the stream is read as any other answer. */
async function* events(path, signal) {
  const { body } = await open(path, { headers: { Accept: "text/event-stream" }, signal });
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const blocks = (text + read.value).split("\n\n");
    text = blocks.pop();
    yield* blocks.filter((block) => !block.startsWith(":")).map(parsed);
  }
}

/** `id: …\ndata: …` as an object; an event without a name is a `message`. */
function parsed(block) {
  const lines = block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]);
  const { data, ...event } = Object.fromEntries(lines);
  return { event: "message", ...event, data: JSON.parse(data) };
}
