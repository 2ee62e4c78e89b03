"""The kinds of columns that the tables are made of, each with the rule in SQL that repeats its input rule."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    MetaData,
    Numeric,
    String,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.types import TypeEngine

from retrobus.model.limits import FIRST_YEAR, JSON_BYTES, KEY, LAST_YEAR, LONG, MONEY_MAX, SHORT

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_name)s",
    }
)
"""All tables."""

RULE = "rule"
"""Under this name a column's `info` keeps its rule; `retrobus.database.rules` makes PostgreSQL keep it."""

LABEL = "label"
"""Under this name a column's `info` keeps its French name, which spreadsheets and Studio show."""

NAME_SORT, PARC_SORT = "retrobus_name_key", "retrobus_parc_key"
"""The SQL functions that compute sort keys; `retrobus.model.sorting` holds their text."""


class Moment(TIMESTAMP):
    """timestamptz(3): an instant to the millisecond."""

    def __init__(self) -> None:
        super().__init__(timezone=True, precision=3)


def label_of(column: Column[Any]) -> str:
    """The French name of a column that members see; KeyError for any other column."""
    label: str = column.info[LABEL]
    return label


def labelled(label: str, column: Column[Any]) -> Column[Any]:
    """The column, which members see under this French name."""
    column.info[LABEL] = label
    return column


def _column(
    name: str, kind: TypeEngine[Any], rule: str | None = None, *, nullable: bool = True, default: str | None = None
) -> Column[Any]:
    """A column whose values keep a rule: an SQL condition in which `{}` stands for the value."""
    default_text = None if default is None else text(default)
    return Column(name, kind, nullable=nullable, server_default=default_text, info={} if rule is None else {RULE: rule})


def key(name: str, rule: str) -> Column[Any]:
    """The primary key: a text that can stand in the path of an address."""
    return Column(name, String(KEY, collation="C"), primary_key=True, info={RULE: rule})


def words(
    name: str, length: int = SHORT, rule: str | None = None, *, nullable: bool = True, default: str | None = None
) -> Column[Any]:
    """A text of limited length, ordered by its bytes, so that memory and PostgreSQL sort alike."""
    quoted = None if default is None else f"'{default}'"
    return _column(name, String(length, collation="C"), rule, nullable=nullable, default=quoted)


def choice(
    name: str, values: Iterable[str], length: int = 20, *, nullable: bool = False, default: str | None = None
) -> Column[Any]:
    """One of a few words."""
    listed = ", ".join(f"'{value}'" for value in values)
    return words(name, length, f"{{}} IN ({listed})", nullable=nullable, default=default)


def prose(name: str) -> Column[Any]:
    """A text of several lines, of at most LONG characters, or null."""
    return long_text(name, f"char_length({{}}) <= {LONG}")


def long_text(name: str, rule: str | None = None, *, nullable: bool = True) -> Column[Any]:
    """A text without a limit of its own."""
    return _column(name, Text(collation="C"), rule, nullable=nullable)


def moment(name: str, *, nullable: bool = True) -> Column[Any]:
    """An instant from FIRST_YEAR to LAST_YEAR."""
    first, end = f"'{FIRST_YEAR}-01-01 00:00:00+00'", f"'{LAST_YEAR + 1}-01-01 00:00:00+00'"
    return _column(name, Moment(), f"{{}} >= {first} AND {{}} < {end}", nullable=nullable)


def number(name: str, kind: TypeEngine[Any], highest: int, *, default: str | None = None) -> Column[Any]:
    """A number from 0; null unless it has a default."""
    return _column(name, kind, f"{{}} BETWEEN 0 AND {highest}", nullable=default is None, default=default)


def money(name: str) -> Column[Any]:
    """An amount in euros, or null."""
    return number(name, Numeric(9, 2), MONEY_MAX)


def flag(name: str, *, default: bool = False) -> Column[Any]:
    """True or false."""
    return _column(name, Boolean(), nullable=False, default="true" if default else "false")


def json_list(name: str, rule: str | None = None) -> Column[Any]:
    """A JSON list, within JSON_BYTES unless another rule is given; empty by default."""
    return _column(name, JSONB(), rule or _small("array"), nullable=False, default="'[]'")


def json_as_text(name: str) -> Column[Any]:
    """A JSON object or null, which answers hold as a JSON string, because clients parse it themselves."""
    found = _column(name, JSONB(), _small("object"))
    found.info["as_text"] = True
    return found


def _small(kind: str) -> str:
    return f"jsonb_typeof({{}}) = '{kind}' AND octet_length({{}}::text) <= {JSON_BYTES}"


def stamps() -> list[Column[Any]]:
    """When the row was made and changed, who changed it, its version, and the nonce of the write that left it so.

    `updated_by` is a member's id or a word for another writer (`sql`, `cli`, `import`…); null if it is not known.
    """
    return [
        labelled("Créé le", Column("created_at", Moment(), nullable=False, server_default=func.now())),
        labelled("Modifié le", Column("updated_at", Moment(), nullable=False, server_default=func.now())),
        labelled("Modifié par", words("updated_by", KEY)),
        labelled("Version", Column("version", BigInteger, nullable=False)),
        Column("nonce", BigInteger),
    ]


def wire(*names: str) -> list[Column[Any]]:
    """Pieces of the row's JSON, written by the table's trigger and by nothing else."""
    return [long_text(name, nullable=False) for name in names]


def public_version() -> Column[Any]:
    """The version at which the row's public face last changed; null if the public never saw the row under this key.

    Of a row that is hidden it is the version that hid it: what happens to the row since then is not told.
    """
    return Column("public_version", BigInteger)


def sort_key(source: str, function: str) -> Column[Any]:
    """The text by which lists are sorted in place of the column `source`; PostgreSQL computes it."""
    key = Computed(f"{function}({source})", persisted=True)
    return Column(f"sort_{source}", Text(collation="C"), key, info={"source": source, "function": function})


def is_derived(column: Column[Any]) -> bool:
    """Whether PostgreSQL fills this column in for itself: a piece of the row's JSON, a sort key, the nonce."""
    return column.name in {"wire", "nonce", "public_version"} or column.name.startswith(("wire_", "sort_"))
