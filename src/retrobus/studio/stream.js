/** The feed of changes, as it happens. EventSource cannot send a token, so the stream is read as any other answer. */

import { open } from "./api.js";

const AGAIN = 3_000; // milliseconds before the stream is opened again

/** Aborts when the person has gone on to another page than that of `node`. */
export function whileShown(node) {
  const stop = new AbortController();
  document.addEventListener("shown", () => node.isConnected || stop.abort(), { signal: stop.signal });
  return stop.signal;
}

/**
 * Follows `/api/changes/stream` from this cursor on until `signal` aborts: `heard(change)` for each change, and
 * `said(text)` for the state of the line. Returns if the cursor no longer holds: then all is to be read again.
 */
export async function follow(cursor, signal, heard, said) {
  let last = cursor;
  while (!signal.aborted) {
    try {
      for await (const { id, event, data } of events(`/api/changes/stream?since=${last}`, signal)) {
        if (event === "problem") throw new Error(data.title);
        if (event === "message") heard(data);
        else said("En direct");
        last = id ?? last;
      }
    } catch (problem) {
      if (signal.aborted || problem.status === 410) return;
      said(`Interrompu, la page essaie encore : ${problem.message}`);
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}

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
