"""The kinds of columns and CHECK constraints that the tables are made of."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    MetaData,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.sql import quoted_name

from retrobus.model.limits import FIRST_YEAR, JSON_BYTES, LAST_YEAR, LONG

metadata = MetaData(naming_convention={"pk": "%(table_name)s_pkey", "uq": "%(table_name)s_%(column_0_name)s"})

NAME_SORT, PARC_SORT = "retrobus_name_key", "retrobus_parc_key"
"""The SQL functions that compute sort keys; `retrobus.model.sorting` holds their text."""


class Moment(TIMESTAMP):
    """timestamptz(3): an instant to the millisecond."""

    def __init__(self) -> None:
        super().__init__(timezone=True, precision=3)


def words(name: str, length: int, *, nullable: bool = True, default: str | None = None) -> Column[Any]:
    """A text of limited length, ordered by its bytes, so that memory and PostgreSQL sort alike."""
    server_default = None if default is None else text(f"'{default}'")
    return Column(name, String(length, collation="C"), nullable=nullable, server_default=server_default)


def prose(name: str, *, nullable: bool = True) -> Column[Any]:
    """A text whose length a CHECK constraint limits, if anything does."""
    return Column(name, Text(collation="C"), nullable=nullable)


def moment(name: str, *, nullable: bool = True) -> Column[Any]:
    """An instant."""
    return Column(name, Moment(), nullable=nullable)


def json_list(name: str) -> Column[Any]:
    """A JSON list, empty unless a value is given."""
    return Column(name, JSONB, nullable=False, server_default=text("'[]'"))


def json_as_text(name: str) -> Column[Any]:
    """A JSON value that answers hold as a JSON string, because clients parse it themselves."""
    return Column(name, JSONB, nullable=True, info={"as_text": True})


def stamps() -> list[Column[Any]]:
    """When the row was made and changed, its version, and the nonce of the write that left it so."""
    return [
        Column("created_at", Moment(), nullable=False, server_default=func.now()),
        Column("updated_at", Moment(), nullable=False, server_default=func.now()),
        Column("version", BigInteger, nullable=False),
        Column("nonce", BigInteger),
    ]


def wire(*names: str) -> list[Column[Any]]:
    """Pieces of the row's JSON, written by the table's trigger and by nothing else."""
    return [prose(name, nullable=False) for name in names]


def sort_key(source: str, function: str) -> Column[Any]:
    """The text by which lists are sorted in place of the column `source`; PostgreSQL computes it."""
    key = Computed(f"{function}({source})", persisted=True)
    return Column(f"sort_{source}", Text(collation="C"), key, info={"source": source, "function": function})


def is_derived(column: Column[Any]) -> bool:
    """Whether PostgreSQL fills this column in for itself: a piece of the row's JSON, a sort key, the nonce."""
    return column.name in {"wire", "nonce"} or column.name.startswith(("wire_", "sort_"))


def check(table: str, column: str, rule: str) -> CheckConstraint:
    """A rule of one column; the error of a broken one names the field by the constraint's name."""
    return CheckConstraint(rule, name=quoted_name(f"{table}_{column}_check", quote=None))


def one_of(table: str, column: str, values: Iterable[str]) -> CheckConstraint:
    """The column holds one of these values."""
    listed = ", ".join(f"'{value}'" for value in values)
    return check(table, column, f"{column} IN ({listed})")


def between(table: str, column: str, low: int, high: int) -> CheckConstraint:
    """The column holds a number of this range, both ends included."""
    return check(table, column, f"{column} BETWEEN {low} AND {high}")


def in_years(table: str, column: str) -> CheckConstraint:
    """The column holds an instant from FIRST_YEAR to LAST_YEAR."""
    first, end = f"'{FIRST_YEAR}-01-01 00:00:00+00'", f"'{LAST_YEAR + 1}-01-01 00:00:00+00'"
    return check(table, column, f"{column} >= {first} AND {column} < {end}")


def at_most(table: str, column: str, limit: int = LONG) -> CheckConstraint:
    """The column holds a text of at most so many characters."""
    return check(table, column, f"char_length({column}) <= {limit}")


def small_json(table: str, column: str, kind: str) -> CheckConstraint:
    """The column holds JSON of this kind, within JSON_BYTES."""
    return check(table, column, f"jsonb_typeof({column}) = '{kind}' AND octet_length({column}::text) <= {JSON_BYTES}")
