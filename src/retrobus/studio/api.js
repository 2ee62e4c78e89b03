/** Requests to the API: the token, request ids, refusals as `Problem`, and from where an answer comes. */

/** The address under which the service is, also behind a proxy that puts a prefix before every path. */
const ROOT = new URL("..", import.meta.url);

const PATIENCE = 30_000; // milliseconds that a read may take; a write may carry megabytes, so it has no limit here

/** What other modules know and this one needs; each replaces its own. */
export const hooks = {
  token: () => null, // the token of the session
  renewed: async () => false, // lets the person log in again; whether that succeeded
  answered: () => {}, // hears each answer: from where it comes, or the Problem
};

/** A refusal of the service, or no answer at all: then `status` is 0. `message` is a sentence in French. */
export class Problem extends Error {
  constructor(status, body, retryAfter = null) {
    super(body.error);
    this.status = status;
    this.code = body.code;
    this.errors = body.errors ?? []; // {field, message}
    this.outcome = body.outcome ?? null; // of a write: "not_applied" or "unknown"
    this.requestId = body.requestId ?? null; // with it the operator finds the request in the log
    this.retryAfter = retryAfter; // seconds
  }

  /** Whether the same request may succeed later. */
  get passing() {
    return this.status === 0 || this.status === 503 || this.code === "request_in_progress";
  }
}

/** The full address of a path of the service, such as `/api/events`. */
export function address(path) {
  return new URL(path.slice(1), ROOT);
}

/** A random name: under an Idempotency-Key, a repeated write has one effect. (`randomUUID` would need HTTPS.) */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The response to a request, with the token of the session; throws Problem. After a 401 the person logs in again. */
export async function open(path, init = {}) {
  const token = hooks.token();
  const response = await fetched(path, init, token);
  if (response.ok) return response;
  const problem = await refusal(response);
  const renewed = problem.code === "unauthenticated" && (hooks.token() !== token || (await hooks.renewed()));
  if (renewed) return open(path, init);
  hooks.answered({ problem });
  throw problem;
}

async function fetched(path, init, token) {
  const headers = { Accept: "application/json", "X-Request-Id": `studio-${newKey()}`, ...init.headers };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  const signal = init.signal ?? (init.method ? undefined : AbortSignal.timeout(PATIENCE));
  try {
    const response = await fetch(address(path), { ...init, headers, signal, cache: "no-store" });
    hooks.answered({ source: response.headers.get("X-Data-Source"), asOf: response.headers.get("X-Data-As-Of") });
    return response;
  } catch (error) {
    if (error.name === "AbortError") throw error; // the caller itself has given up
    const problem = new Problem(0, { error: "Le service ne répond pas.", code: "unreachable", outcome: "unknown" });
    hooks.answered({ problem });
    throw problem;
  }
}

/** The Problem in a response; a proxy may answer with something else than our JSON. */
async function refusal(response) {
  const unknown = { error: `Réponse inattendue (${response.status}).`, code: "unexpected" };
  const body = await response.json().catch(() => unknown);
  return new Problem(response.status, body.error ? body : unknown, Number(response.headers.get("Retry-After")) || null);
}

/** The JSON of a path, with its ETag and its source: `postgres` or `memory`. */
export async function get(path) {
  return answer(await open(path));
}

/**
 * The answer to a write. `etag`: the row must still have it, else 412. `key`: give the same one to repeat a request.
 * `accepted` of the answer is null, or says that PostgreSQL lacks the write still: `journal` or `memory` has it.
 */
export async function send(method, path, body, { etag = null, key = newKey() } = {}) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": key };
  if (etag !== null) headers["If-Match"] = etag;
  return answer(await open(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) }));
}

async function answer(response) {
  const named = (name) => response.headers.get(name);
  return {
    data: await response.json(),
    etag: named("ETag"),
    source: named("X-Data-Source"),
    asOf: named("X-Data-As-Of"),
    accepted: response.status === 202 ? named("X-Durability") : null,
  };
}

/** A picture of the service as a data URL: an <img> sends no token. */
export async function picture(path) {
  return dataUrl(await (await open(path, { headers: { Accept: "image/*" } })).blob());
}

/** The bytes of a file as a data URL. */
export function dataUrl(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => resolve(reader.result));
    reader.addEventListener("error", () => reject(reader.error));
    reader.readAsDataURL(blob);
  });
}

/** Saves what a path answers as a file of this name. */
export async function download(path, name, accept) {
  const url = URL.createObjectURL(await (await open(path, { headers: { Accept: accept } })).blob());
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
