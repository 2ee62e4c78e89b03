"""The answers kept in Postgres for an Idempotency-Key: a client that repeats a write gets the first answer again."""

from retrobus.store.contract import Document, InProgress, KeyReused, Terms
from retrobus.store.pool import Connection

LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))"

FIND = """SELECT fingerprint, answer, etag, row_key FROM idempotency
WHERE member_id = $1 AND method = $2 AND path = $3 AND key = $4 AND created_at > now() - interval '24 hours'"""

KEEP = """INSERT INTO idempotency (member_id, method, path, key, fingerprint, answer, etag, row_key)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (member_id, method, path, key) DO UPDATE SET fingerprint = excluded.fingerprint,
  answer = excluded.answer, etag = excluded.etag, row_key = excluded.row_key, created_at = now()"""

PRUNE = "DELETE FROM idempotency WHERE created_at < now() - interval '24 hours'"


async def kept_answer(connection: Connection, terms: Terms) -> Document | None:
    """The answer of the same request; None if this is the first time or no key was given.

    InProgress if another request with this key is running, KeyReused if the key belongs to another request.
    """
    if terms.once is None or terms.caller is None:
        return None
    scope = (terms.caller.id, terms.once.method, terms.once.path, terms.once.key)
    if not await connection.fetchval(LOCK, "\n".join(scope)):
        raise InProgress
    kept = await connection.fetchrow(FIND, *scope)
    if kept is None:
        return None
    if kept["fingerprint"] != terms.once.fingerprint:
        raise KeyReused
    return Document(kept["answer"], kept["etag"], kept["row_key"])


async def keep(connection: Connection, terms: Terms, document: Document) -> None:
    """Keeps the answer in the transaction of its write, if a key was given."""
    if terms.once is None or terms.caller is None:
        return
    scope = (terms.caller.id, terms.once.method, terms.once.path, terms.once.key)
    await connection.execute(KEEP, *scope, terms.once.fingerprint, document.json, document.etag, document.key)
