"""What it means when Postgres says no: SQLSTATEs become the errors of the contract."""

from collections.abc import Callable

import asyncpg

from retrobus.database.pooler import LOST_STATEMENT
from retrobus.store.contract import (
    Busy,
    Conflict,
    FieldError,
    InProgress,
    Invalid,
    MissingRight,
    ReadOnly,
    SchemaOutdated,
    StatementLost,
    StoreError,
    Unauthenticated,
)

NO_ACCESS = "RB401"
"""Raised by `retrobus_open`, which begins every write."""

READ_ONLY = "25006"
RETRIED = frozenset({"40001", "40P01"})
"""Serialization failure, deadlock: the same transaction may succeed the next time."""

WAITED = frozenset({"55P03", "57014", "53300", "53400"})
REFUSED = frozenset({READ_ONLY, "53100", "53200", "58030"})
RIGHT = "42501"
SCHEMA = frozenset({"42P01", "42703", "42883"})
REFUSALS: tuple[tuple[frozenset[str], Callable[[], StoreError]], ...] = (
    (frozenset({NO_ACCESS}), Unauthenticated),
    (WAITED | RETRIED, Busy),
    (REFUSED, ReadOnly),
    (SCHEMA, SchemaOutdated),
    (LOST_STATEMENT, StatementLost),
)


def state_of(error: Exception) -> str:
    """The SQLSTATE of an error; empty if it has none."""
    return getattr(error, "sqlstate", None) or ""


def hindrance(error: Exception) -> str:
    """Why a replay did not come to its end, in one sentence for people."""
    state = state_of(error)
    known = {
        READ_ONLY: "ce serveur refuse les écritures",
        "55P03": "une autre transaction tient les tables",
        "53100": "le disque de PostgreSQL est plein",
        "57014": "une réplique ou un verrou se fait attendre",
    }
    return f"{known.get(state, 'PostgreSQL a interrompu le rejeu')} ({state or type(error).__name__})"


def translate(error: Exception) -> Exception:
    """What a driver error means for the caller; an error that we do not know is a bug and stays itself."""
    if not isinstance(error, asyncpg.PostgresError):
        return _bad_argument(error)
    state, column = state_of(error), _column(error)
    if state == "23505":
        return Conflict("Cette valeur est déjà prise.", column)
    if state[:2] in {"22", "23"}:
        missing = state == "23503"
        return Invalid([FieldError(column, "désigne une ligne qui n'existe pas" if missing else "valeur refusée")])
    if state == RIGHT:
        return MissingRight(str(error))
    return next((kind() for states, kind in REFUSALS if state in states), error)


def tells_state(error: Exception) -> bool:
    """Whether the refusal of a write tells what is there, as "it is gone" does, or "it is taken"."""
    if isinstance(error, StoreError):
        return not isinstance(error, InProgress)
    return state_of(error)[:2] == "23"


def _bad_argument(error: Exception) -> Exception:
    if isinstance(error, asyncpg.DataError | OverflowError):
        return Invalid([FieldError("", "valeur hors des limites")])
    return error


def _column(error: asyncpg.PostgresError) -> str:
    """The column that an error is about, from the name of its constraint (`table_column[_kind]`)."""
    if getattr(error, "column_name", None):
        return str(error.column_name)
    table, name = getattr(error, "table_name", None) or "", getattr(error, "constraint_name", None) or ""
    name = name.removeprefix(f"{table}_")
    for kind in ("_check", "_fkey", "_key"):
        name = name.removesuffix(kind)
    return "id" if name == "pkey" else name
