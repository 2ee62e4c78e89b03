/** Requests to the API: the token, request ids, refusals as `Problem`, and from where an answer comes. */

/** The address under which the service is, also behind a proxy that puts a prefix before every path. */
const ROOT = new URL("..", import.meta.url);

const PATIENCE = 30_000; // milliseconds that a read may take; a write may carry megabytes, so it has no limit here
const MOST = 1_000; // rows that the service gives at a time

/** What other modules know and this one needs; each replaces its own. */
export const hooks = {
  token: () => null, // the token of the session
  renewed: async () => false, // lets the person log in again; whether that succeeded
  answered: () => {}, // hears each answer: from where it comes, or the Problem
};

/** A refusal of the service, or no answer at all: then `status` is 0. `message` is a sentence in French. */
export class Problem extends Error {
  /** `body` has a `code`, perhaps `errors` by field, the `outcome` of a write, and the `requestId` in the log. */
  constructor(status, { error, ...body }) {
    super(error);
    Object.assign(this, { errors: [], ...body, status });
  }
}

/** The full address of a path of the service, such as `/api/events`. */
export const address = (path) => new URL(path.slice(1), ROOT);

/** The query of an address; parameters without a value are left out. */
export const queryOf = (values) =>
  `?${new URLSearchParams(Object.entries(values).filter(([, value]) => value))}`.replace(/\?$/, "");

const hex = (byte) => byte.toString(16).padStart(2, "0");

/** A random name: under an Idempotency-Key, a repeated write has one effect. (`randomUUID` would need HTTPS.) */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), hex).join("");

/** The response to a request, with the token of the session; throws Problem. After a 401 the person logs in again. */
export async function open(path, init = {}) {
  const token = hooks.token();
  const response = await fetched(path, init, token);
  hooks.answered({ source: response.headers?.get("X-Data-Source") });
  if (response.ok) return response;
  const problem = response instanceof Problem ? response : await refusal(response);
  const renewed = problem.code === "unauthenticated" && (hooks.token() !== token || (await hooks.renewed()));
  if (renewed) return open(path, init);
  hooks.answered({ problem });
  throw problem;
}

/** The response; a Problem if there is none. */
function fetched(path, init, token) {
  const own = { Accept: "application/json", "X-Request-Id": `studio-${newKey()}` };
  const headers = { ...own, ...(token && { Authorization: `Bearer ${token}` }), ...init.headers };
  const signal = init.signal ?? (init.method ? undefined : AbortSignal.timeout(PATIENCE));
  return fetch(address(path), { cache: "no-store", ...init, headers, signal }).catch((error) => {
    if (error.name === "AbortError") throw error; // the caller itself has given up
    return new Problem(0, { error: "Le service ne répond pas.", code: "unreachable", outcome: "unknown" });
  });
}

/** The Problem in a response; a proxy may answer with something else than our JSON. */
async function refusal(response) {
  const body = await response.json().catch(() => ({}));
  return new Problem(response.status, { error: `Réponse inattendue (${response.status}).`, ...body });
}

/** The JSON of a path as `data`, with its ETag; `init` as for fetch. */
export const get = async (path, init) => answer(await open(path, init));

/** Rows of a list from `cursor` on: at most `limit`, or all of them, and the cursor of the others. */
export async function rowsOf(path, query = {}, { cursor = null, limit = null } = {}) {
  const { data } = await get(path + queryOf({ ...query, cursor, limit: limit ?? MOST }));
  const [rows] = Object.values(data);
  if (limit || !data.nextCursor) return { rows, cursor: data.nextCursor };
  const others = await rowsOf(path, query, { cursor: data.nextCursor });
  return { rows: [...rows, ...others.rows], cursor: null };
}

/**
 * The answer to a write. `etag`: the row must still have it, else 412. `key`: give the same one to repeat a request.
 * `accepted` of the answer is null, or says that PostgreSQL lacks the write still: `journal` or `memory` has it.
 */
export async function send(method, path, body, { etag = null, key = newKey() } = {}) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key, ...(etag && { "If-Match": etag }) };
  return answer(await open(path, { method, headers, body: JSON.stringify(body) }));
}

async function answer(response) {
  const accepted = response.status === 202 ? response.headers.get("X-Durability") : null;
  return { data: await response.json(), etag: response.headers.get("ETag"), accepted };
}

const blobOf = async (path, type) => (await open(path, { headers: { Accept: type } })).blob();

/** A picture of the service as a data URL: an <img> sends no token. */
export const picture = async (path) => dataUrl(await blobOf(path, "image/*"));

/** The bytes of a file as a data URL. */
export function dataUrl(blob) {
  const reader = new FileReader();
  reader.readAsDataURL(blob);
  return new Promise((resolve, reject) =>
    Object.assign(reader, { onload: () => resolve(reader.result), onerror: () => reject(reader.error) }));
}

/** Saves what a path answers as a file of this name. */
export async function download(path, name, type) {
  const href = await dataUrl(await blobOf(path, type));
  Object.assign(document.createElement("a"), { href, download: name }).click();
}
