"""Plain writes: each is one statement in a transaction of its own, because nothing has to be looked at first."""

from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    CTE,
    BigInteger,
    ColumnElement,
    Integer,
    Text,
    any_,
    bindparam,
    delete,
    func,
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


def is_plain(write: Write) -> bool:
    """Whether nothing has to be looked at before the write: no Idempotency-Key, no decision about the present row."""
    resource, terms = write.resource, write.terms
    if terms.once is not None or terms.caller is None:
        return False
    match write:
        case Insert():
            return True
        case Update(change=change):
            return not callable(change) and bool(change) and not resource.keep_one.keys() & change.keys()
        case Delete():
            return write.check is None and terms.match is None and not resource.keep_one


def single(write: Write, *, whole: bool) -> tuple[Statement, Row]:
    """The statement of a plain write, and its own values."""
    resource, match = write.resource, write.terms.match
    if isinstance(write, Insert):
        return add_alone(resource, frozenset(write.values), whole=whole), write.values
    if isinstance(write, Delete):
        return remove_alone(resource), {"row_key": write.key}
    changes = {} if callable(write.change) else write.change
    asked = match is not None and "*" not in match.etags
    named = changes | {"row_key": write.key} | ({"etags": list(match.etags)} if match is not None and asked else {})
    return change_alone(resource, frozenset(changes), whole=whole, match=asked), named


def opened_by(terms: Terms, nonce: int) -> Row:
    """The values that prove access and mark the write."""
    caller = terms.caller
    access = {} if caller is None else {"caller_id": caller.id, "caller_epoch": caller.epoch}
    return access | {"nonce": nonce}


def _opened() -> CTE:
    """Proves the caller's access and notes the nonce, before the rest of the statement that holds it is done."""
    caller, epoch = bindparam("caller_id", type_=Text()), bindparam("caller_epoch", type_=Integer())
    nonce = bindparam("nonce", type_=BigInteger())
    return select(func.retrobus_open(caller, epoch, nonce).label("ok")).cte("opened")


def _is_opened() -> ColumnElement[bool]:
    return select(literal_column("1")).select_from(_opened()).exists()


@lru_cache(maxsize=256)
def add_alone(resource: Resource, names: frozenset[str], *, whole: bool) -> Statement:
    """Inserts one row in a transaction of its own, once the caller's access is proved."""
    ordered = sorted(names)
    values = select(*(bindparam(name, type_=resource.table.c[name].type) for name in ordered)).where(_is_opened())
    added = insert(resource.table).from_select(ordered, values, include_defaults=False)
    return compiled(added.returning(*_left(resource, whole=whole)))


@lru_cache(maxsize=256)
def change_alone(resource: Resource, names: frozenset[str], *, whole: bool, match: bool) -> Statement:
    """Updates one row in a transaction of its own, once access is proved, if anything differs.

    With `match`, only if the row's ETag is one of `etags`.
    """
    values = {name: bindparam(name, type_=resource.table.c[name].type) for name in sorted(names)}
    differs = or_(*(resource.table.c[name].is_distinct_from(value) for name, value in values.items()))
    conditions = [addressed(resource), _is_opened(), differs]
    if match:
        etags = bindparam("etags", type_=ARRAY(Text()))
        conditions.append(literal_column(f"({ETAG})", Text()) == any_(etags))
    changed = update(resource.table).where(*conditions).values(values)
    return compiled(changed.returning(*_left(resource, whole=whole)))


@lru_cache(maxsize=16)
def remove_alone(resource: Resource) -> Statement:
    """Deletes one row in a transaction of its own, once the caller's access is proved."""
    gone = delete(resource.table).where(addressed(resource), _is_opened())
    return compiled(gone.returning(*answer(resource), literal_column("currval('row_version')").label("witness")))


def _left(resource: Resource, *, whole: bool) -> list[Any]:
    """What a statement gives back of the row that it leaves."""
    version = resource.table.c.version.label("witness")
    return [*answer(resource), version, *facts(resource, whole=whole)]


@lru_cache(maxsize=16)
def reread(resource: Resource, *, whole: bool) -> Statement:
    """The row that a write with this nonce left, as the write itself would have given it back."""
    ours = resource.table.c.nonce == bindparam("nonce", type_=BigInteger())
    return compiled(select(*_left(resource, whole=whole)).where(addressed(resource), ours))
