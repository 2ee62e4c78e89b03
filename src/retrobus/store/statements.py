"""The SQL of find, get and write, built by SQLAlchemy once for each shape and kept."""

from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    Dialect,
    Select,
    and_,
    bindparam,
    collate,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import asyncpg

from retrobus.database.sql import ETAG
from retrobus.model.members import member
from retrobus.model.resources import MEMBER, Resource
from retrobus.model.tables import deletion
from retrobus.model.wire import View, view_sql
from retrobus.store.contract import Filter

DIALECT: Dialect = asyncpg.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped

ACCESS = """SELECT EXISTS (SELECT FROM member WHERE id = $1 AND token_epoch = $2 AND status = 'active')"""

OPEN = "BEGIN; {limits}SELECT retrobus_open({caller}, {epoch}, {nonce})"
"""Begins a transaction in one round trip: it fails with `RB401` if the caller has no access."""

SETTLE = """SELECT NOT pg_is_in_recovery() AND NOT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE CASE WHEN pid = $1 AND (backend_xid = $2::text::xid OR backend_start = $3::timestamptz)
      THEN NOT pg_terminate_backend(pid, 1000) ELSE false END
  ) AS settled, current_setting('synchronous_standby_names') <> '' AS replicated"""
"""Ends a transaction that still runs: whether it has ended, and whether its end here is its end everywhere.

CASE, because the server tries the conditions of AND in any order, and no other transaction may be ended.
"""

BARRIER = """SELECT pg_backend_pid() AS pid, pg_current_xact_id()::xid::text AS xid,
  pg_logical_emit_message(true, 'retrobus', '') WHERE current_setting('synchronous_standby_names') <> ''"""
"""Writes to the log without touching a row, so that COMMIT waits for the standby; gives no row if none is waited for.

The standby confirms the log in order: once it has this message, it has every commit that was visible before.
"""


Shape = tuple[tuple[str, str, bool], ...]
"""Of each filter its column, its operator, and whether ASCII case is ignored."""


class Statement(NamedTuple):
    """SQL text and the order in which it takes its named values."""

    sql: str
    names: tuple[str, ...]

    def values(self, named: dict[str, Any]) -> list[Any]:
        """The values in the order of the placeholders."""
        return [named[name] for name in self.names]


def compiled(statement: Any) -> Statement:
    """A statement as the driver takes it."""
    found = statement.compile(dialect=DIALECT)
    return Statement(str(found), tuple(found.positiontup or ()))


def _access() -> ColumnElement[bool]:
    held: Select[Any] = select(literal_column("1")).where(
        member.c.id == bindparam("caller_id", type_=member.c.id.type),
        member.c.token_epoch == bindparam("caller_epoch", type_=member.c.token_epoch.type),
        member.c.status == literal_column("'active'"),
    )
    return held.exists()


def _view(resource: Resource, view: View) -> ColumnElement[Any]:
    """The row's JSON as the bytes that the answer is made of, in the connection's encoding, which is UTF-8.

    The driver would decode a text, which doubles the time of a list.
    """
    return literal_column(f"textsend({view_sql(resource, view)})").label("json")


def answer(resource: Resource, view: View = "one") -> list[ColumnElement[Any]]:
    """What a verb on one row gives back."""
    return [_view(resource, view), literal_column(ETAG).label("etag"), resource.key_column.label("row_key")]


def _witness(version: str = "version") -> list[ColumnElement[Any]]:
    """What finds a transaction again if its COMMIT is cut off."""
    known = {"witness": version, "pid": "pg_backend_pid()", "xid": "pg_current_xact_id()::xid::text"}
    return [literal_column(sql).label(name) for name, sql in known.items()]


def _condition(resource: Resource, index: int, shape: tuple[str, str, bool]) -> ColumnElement[bool]:
    name, operator, fold = shape
    column: ColumnElement[Any] = resource.table.c[name]
    value: ColumnElement[Any] = bindparam(f"filter_{index}", type_=resource.table.c[name].type)
    if operator == "json":  # hidden only by an explicit false, as clients set it
        return literal_column(f"({name} -> 'isVisible') IS DISTINCT FROM 'false'::jsonb", Boolean)
    if operator == "announced":
        return literal_column("(status = 'PUBLISHED' OR status = 'ARCHIVED' AND public_version = version)", Boolean)
    if fold:
        value = func.lower(collate(value, "C"))
        column = literal_column(f'lower({name} COLLATE "C")')
    return column.op(operator, is_comparison=True)(value)


def shape_of(filters: tuple[Filter, ...]) -> Shape:
    """What makes two lists the same statement: all but the values."""
    return tuple((f.column, f.operator, f.fold) for f in filters)


def _after(resource: Resource) -> ColumnElement[bool]:
    """Rows later than the cursor's in the resource's order, where a column may be ascending or descending.

    For events, whose dates descend: `date <= d AND (date < d OR date = d AND id > i)`. PostgreSQL enters an index by
    the first condition only; without it, it would read every row before the cursor.
    """
    order = [(resource.table.c[step.column], step.descending) for step in resource.order]
    bound = [bindparam(f"after_{column.name}", type_=column.type) for column, _ in order]
    if not any(descending for _, descending in order):
        return tuple_(*(column for column, _ in order)) > tuple_(*bound)
    steps = []
    for position, (column, descending) in enumerate(order):
        equal = [order[i][0] == bound[i] for i in range(position)]
        steps.append(and_(*equal, column < bound[position] if descending else column > bound[position]))
    first, descending = order[0]
    return and_(first <= bound[0] if descending else first >= bound[0], or_(*steps))


@lru_cache(maxsize=256)
def find(resource: Resource, view: View, shape: Shape, *, after: bool, access: bool) -> Statement:
    """One page: each row's JSON, and with `access` whether the caller still has it."""
    columns = [_view(resource, view), *([_access().label("access")] if access else [])]
    conditions = [_condition(resource, index, item) for index, item in enumerate(shape)]
    if after:
        conditions.append(_after(resource))
    columns_of = resource.table.c
    order = [columns_of[name].desc() if descending else columns_of[name].asc() for name, descending in resource.order]
    page = bindparam("page", type_=member.c.token_epoch.type)
    return compiled(select(*columns).select_from(resource.table).where(*conditions).order_by(*order).limit(page))


@lru_cache(maxsize=64)
def get(resource: Resource, view: View, shape: Shape, *, access: bool) -> Statement:
    """One row as a document."""
    return one(resource, answer(resource, view), shape, access=access)


def one(resource: Resource, columns: list[ColumnElement[Any]], shape: Shape, *, access: bool) -> Statement:
    """These columns of one row, and with `access` whether the caller still has it."""
    asked = [*columns, *([_access().label("access")] if access else [])]
    conditions = [_condition(resource, index, item) for index, item in enumerate(shape)]
    return compiled(select(*asked).select_from(resource.table).where(addressed(resource), *conditions))


def _row_key(resource: Resource) -> BindParameter[Any]:
    """The key that the client named; no column has this name, so no value that is written can take its place."""
    return bindparam("row_key", type_=resource.key_column.type)


def addressed(resource: Resource) -> ColumnElement[bool]:
    """The row with this key: the one way in which a verb names a row."""
    return resource.key_column == _row_key(resource)


@lru_cache(maxsize=16)
def lock(resource: Resource) -> Statement:
    """One row, all its facts, held until the transaction ends."""
    columns = [*resource.columns, literal_column(ETAG).label("etag")]
    return compiled(select(*columns).where(addressed(resource)).with_for_update())


def facts(resource: Resource, *, whole: bool) -> list[Any]:
    """Every column that holds a fact, if the whole row is asked for."""
    return list(resource.columns) if whole else []


@lru_cache(maxsize=256)
def add(resource: Resource, names: frozenset[str], *, whole: bool = False) -> Statement:
    """Inserts one row."""
    values = {name: bindparam(name, type_=resource.table.c[name].type) for name in sorted(names)}
    added = insert(resource.table).values(values)
    return compiled(added.returning(*answer(resource), *_witness(), *facts(resource, whole=whole)))


@lru_cache(maxsize=256)
def change(resource: Resource, names: frozenset[str], *, whole: bool = False) -> Statement:
    """Updates one row that is locked already."""
    values = {name: bindparam(name, type_=resource.table.c[name].type) for name in sorted(names)}
    changed = update(resource.table).where(addressed(resource)).values(values)
    return compiled(changed.returning(*answer(resource), *_witness(), *facts(resource, whole=whole)))


@lru_cache(maxsize=16)
def remove(resource: Resource) -> Statement:
    """Deletes one row; its tombstone's version is the last one drawn."""
    return compiled(
        delete(resource.table)
        .where(addressed(resource))
        .returning(*answer(resource), *_witness("currval('row_version')"))
    )


@lru_cache(maxsize=16)
def another(resource: Resource) -> Statement:
    """Whether a row other than this one keeps the resource's `keep_one` rule."""
    rule = [resource.table.c[name] == literal_column(f"'{value}'") for name, value in resource.keep_one.items()]
    other: Select[Any] = select(literal_column("1")).where(resource.key_column != _row_key(resource), *rule)
    return compiled(select(other.exists()))


@lru_cache(maxsize=16)
def trace(resource: Resource) -> Statement:
    """Whether a state of a key, living or deleted, holds a nonce; and the latest version of the key."""
    living = select(resource.table.c.version, resource.table.c.nonce).where(addressed(resource))
    dead = select(deletion.c.version, deletion.c.nonce).where(
        deletion.c.resource == literal_column(f"'{resource.name}'"), deletion.c.key == _row_key(resource)
    )
    both = living.union_all(dead).subquery()
    ours = func.bool_or(both.c.nonce == bindparam("nonce", type_=BigInteger())).label("applied")
    return compiled(select(func.max(both.c.version).label("latest"), ours))


@lru_cache(maxsize=2)
def account(*, by_id: bool) -> Statement:
    """A member by id, or by e-mail or matricule; the e-mail wins over a matricule that looks like it."""
    name = bindparam("identifier", type_=member.c.email.type)
    rows = select(*MEMBER.columns).limit(literal_column("1"))
    if by_id:
        return compiled(rows.where(member.c.id == name))
    folded = func.lower(collate(name, "C"))
    email: ColumnElement[str] = literal_column('lower(email COLLATE "C")')
    matricule: ColumnElement[str] = literal_column('lower(matricule COLLATE "C")')
    found = or_(email == folded, matricule == folded)
    return compiled(rows.where(found).order_by((email == folded).desc()))
