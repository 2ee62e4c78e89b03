"""Plain writes: each is one statement in a transaction of its own, because nothing has to be decided on the way.

The statement proves the caller's access (`opened`), looks for the answer that was kept for the Idempotency-Key
(`kept`), changes the row (`done`) and keeps the answer (`stored`). Without a key it is only `opened` and the change.
"""

from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Label,
    Text,
    any_,
    bindparam,
    delete,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from retrobus.database.sql import ETAG
from retrobus.model.resources import Resource
from retrobus.store.contract import Delete, Insert, Row, Terms, Update, Write
from retrobus.store.statements import Statement, addressed, answer, compiled, facts

OPENED = "WITH opened AS (SELECT retrobus_open({caller_id}::text, {caller_epoch}::integer, {nonce}::bigint) AS ok)"
"""Fails with `RB401` if the caller has no access; PostgreSQL evaluates it before the rest, which asks for its row."""

ONCE = """{opened},
kept AS (SELECT k.* FROM opened CROSS JOIN retrobus_kept({caller_id}, {method}, {path}, {once}) AS k),
done AS ({change}),
stored AS (
  INSERT INTO idempotency (member_id, method, path, key, fingerprint, answer, etag, row_key)
  SELECT {caller_id}, {method}, {path}, {once}, {fingerprint}::bytea, convert_from(json, 'UTF8'), etag, row_key
  FROM done
  ON CONFLICT (member_id, method, path, key) DO UPDATE SET fingerprint = excluded.fingerprint,
    answer = excluded.answer, etag = excluded.etag, row_key = excluded.row_key, created_at = now()
)
SELECT done.*, kept.fingerprint AS kept_fingerprint, kept.answer AS kept_answer, kept.etag AS kept_etag,
  kept.row_key AS kept_key
FROM (VALUES (1)) AS one(row) LEFT JOIN done ON true LEFT JOIN kept ON true"""

IS_OPENED, IS_FIRST = "EXISTS (SELECT FROM opened)", "NOT EXISTS (SELECT FROM kept)"


def is_plain(write: Write) -> bool:
    """Whether no decision about the present row has to be taken between a look and the change."""
    resource, terms = write.resource, write.terms
    if terms.caller is None:
        return False
    match write:
        case Insert():
            return True
        case Update(change=change):
            return not callable(change) and bool(change) and not resource.keep_one.keys() & change.keys()
        case Delete():
            return write.check is None and not resource.keep_one


def single(write: Write, *, whole: bool) -> tuple[Statement, Row]:
    """The statement of a plain write, and its own values; `whole` asks for every column of the row that it leaves."""
    resource, match, once = write.resource, write.terms.match, write.terms.once is not None
    etags = {} if match is None or "*" in match.etags else {"etags": list(match.etags)}
    if isinstance(write, Insert):
        return _add(resource, frozenset(write.values), whole=whole, once=once), write.values
    if isinstance(write, Delete):
        return _remove(resource, match=bool(etags), once=once), {"row_key": write.key} | etags
    changes = {} if callable(write.change) else write.change
    named = changes | {"row_key": write.key} | etags
    return _change(resource, frozenset(changes), whole=whole, match=bool(etags), once=once), named


def opened_by(terms: Terms, nonce: int) -> Row:
    """The values that prove access, mark the write and name its Idempotency-Key."""
    if terms.caller is None:
        raise AssertionError("a plain write has a caller")
    named = {"caller_id": terms.caller.id, "caller_epoch": terms.caller.epoch, "nonce": nonce}
    if terms.once is None:
        return named
    once = terms.once
    return named | {"method": once.method, "path": once.path, "once": once.key, "fingerprint": once.fingerprint}


def _whole(change: Statement, *, once: bool) -> Statement:
    """The statement around a change of one row; the values of the change come first."""
    names = ("caller_id", "caller_epoch", "nonce", *(("method", "path", "once", "fingerprint") if once else ()))
    places = {name: f"${place}" for place, name in enumerate(names, start=len(change.names) + 1)}
    opened = OPENED.format(**places)
    sql = ONCE.format(opened=opened, change=change.sql, **places) if once else f"{opened} {change.sql}"
    return Statement(sql, change.names + names)


def _allowed(*, once: bool) -> list[ColumnElement[bool]]:
    return [literal_column(IS_OPENED, Boolean), *([literal_column(IS_FIRST, Boolean)] if once else [])]


def _matches() -> ColumnElement[bool]:
    """Whether the row's ETag is one of those that the client named in If-Match."""
    return literal_column(f"({ETAG})", Text()) == any_(bindparam("etags", type_=ARRAY(Text())))


@lru_cache(maxsize=256)
def _add(resource: Resource, names: frozenset[str], *, whole: bool, once: bool) -> Statement:
    ordered = sorted(names)
    bound = [bindparam(name, type_=resource.table.c[name].type) for name in ordered]
    added = insert(resource.table).from_select(
        ordered, select(*bound).where(*_allowed(once=once)), include_defaults=False
    )
    return _whole(compiled(added.returning(*_left(resource, whole=whole))), once=once)


@lru_cache(maxsize=256)
def _change(resource: Resource, names: frozenset[str], *, whole: bool, match: bool, once: bool) -> Statement:
    """Updates the row if anything differs; with `match`, only if its ETag is one of `etags`."""
    values = {name: bindparam(name, type_=resource.table.c[name].type) for name in sorted(names)}
    differs = or_(*(resource.table.c[name].is_distinct_from(value) for name, value in values.items()))
    conditions = [addressed(resource), differs, *_allowed(once=once)]
    if match:
        conditions.append(_matches())
    changed = update(resource.table).where(*conditions).values(values)
    return _whole(compiled(changed.returning(*_left(resource, whole=whole))), once=once)


@lru_cache(maxsize=16)
def _remove(resource: Resource, *, match: bool, once: bool) -> Statement:
    """Deletes the row; with `match`, only if its ETag is one of `etags`."""
    conditions = [addressed(resource), *_allowed(once=once), *([_matches()] if match else [])]
    gone = delete(resource.table).where(*conditions)
    version: Label[Any] = literal_column("currval('row_version')").label("witness")
    return _whole(compiled(gone.returning(*answer(resource), version)), once=once)


def _left(resource: Resource, *, whole: bool) -> list[Any]:
    """What a statement gives back of the row that it leaves."""
    version = resource.table.c.version.label("witness")
    return [*answer(resource), version, *facts(resource, whole=whole)]


@lru_cache(maxsize=16)
def reread(resource: Resource, *, whole: bool) -> Statement:
    """The row that a write with this nonce left, as the write itself would have given it back."""
    ours = resource.table.c.nonce == bindparam("nonce", type_=BigInteger())
    return compiled(select(*_left(resource, whole=whole)).where(addressed(resource), ours))
