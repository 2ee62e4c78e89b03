"""The answers kept in Postgres for an Idempotency-Key: a client that repeats a write gets the first answer again."""

from retrobus.store.contract import (
    Document,
    Terms,
)
from retrobus.store.errors import KeyReused
from retrobus.store.pool import Connection

FIND = "SELECT fingerprint, answer, etag, row_key FROM retrobus_kept($1, $2, $3, $4)"

KEEP = """INSERT INTO idempotency (member_id, method, path, key, fingerprint, answer, etag, row_key)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (member_id, method, path, key) DO UPDATE SET fingerprint = excluded.fingerprint,
  answer = excluded.answer, etag = excluded.etag, row_key = excluded.row_key, created_at = now()"""

PRUNE = "DELETE FROM idempotency WHERE created_at < now() - interval '24 hours'"


async def kept_answer(connection: Connection, terms: Terms) -> Document | None:
    """The answer of the same request; None if this is the first time or no key was given.

    KeyReused if the key belongs to another request; SQLSTATE RB409 if another request with this key is running.
    """
    if terms.once is None or terms.caller is None:
        return None
    scope = (terms.caller.id, terms.once.method, terms.once.path, terms.once.key)
    kept = await connection.fetchrow(FIND, *scope)
    if kept is None:
        return None
    return answered(terms, kept["fingerprint"], Document(kept["answer"].encode(), kept["etag"], kept["row_key"]))


def answered(terms: Terms, fingerprint: bytes, document: Document) -> Document:
    """The kept answer; KeyReused if the key belongs to another request."""
    if terms.once is None or fingerprint != terms.once.fingerprint:
        raise KeyReused
    return document


async def keep(connection: Connection, terms: Terms, document: Document) -> None:
    """Keeps the answer in the transaction of its write, if a key was given."""
    if terms.once is None or terms.caller is None:
        return
    scope = (terms.caller.id, terms.once.method, terms.once.path, terms.once.key)
    await connection.execute(KEEP, *scope, terms.once.fingerprint, document.json.decode(), document.etag, document.key)
