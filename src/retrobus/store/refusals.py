"""What it means for a caller when Postgres says no: the driver's errors become the errors of the contract."""

from collections.abc import Callable

from retrobus.database.errors import READ_ONLY, Meaning, column_of, meaning_of, state_of
from retrobus.store.errors import (
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

FOREIGN_KEY = "23503"
VIOLATION = "23"
"""The class of SQLSTATEs of violated constraints."""

REFUSALS: dict[Meaning | None, Callable[[Exception], Exception]] = {
    Meaning.NO_ACCESS: lambda _: Unauthenticated(),
    Meaning.IN_PROGRESS: lambda _: InProgress(),
    Meaning.AGAIN: lambda _: Busy(),
    Meaning.BUSY: lambda _: Busy(),
    Meaning.READ_ONLY: lambda _: ReadOnly(),
    Meaning.OUTDATED: lambda _: SchemaOutdated(),
    Meaning.STATEMENT_LOST: lambda _: StatementLost(),
    Meaning.RIGHT: lambda error: MissingRight(str(error)),
    Meaning.TAKEN: lambda error: Conflict("cette valeur est déjà prise.", column_of(error)),
    Meaning.INVALID: lambda error: Invalid([FieldError(column_of(error), _fault(error))]),
}

HINDRANCES = {
    READ_ONLY: "ce serveur refuse les écritures",
    "55P03": "une autre transaction tient les tables",
    "53100": "le disque de PostgreSQL est plein",
    "57014": "une réplique ou un verrou se fait attendre",
}


def translate(error: Exception) -> Exception:
    """What a driver error means for the caller; an error that we do not know is a bug and stays itself."""
    if isinstance(error, OverflowError):  # the driver cannot send a number that no column can hold
        return Invalid([FieldError("", "valeur hors des limites")])
    refusal = REFUSALS.get(meaning_of(error))
    return error if refusal is None else refusal(error)


def hindrance(error: Exception) -> str:
    """Why a replay did not come to its end, in one sentence for people."""
    state = state_of(error)
    return f"{HINDRANCES.get(state, 'PostgreSQL a interrompu le rejeu')} ({state or type(error).__name__})"


def tells_state(error: Exception) -> bool:
    """Whether the refusal of a write tells what is stored: that the row is gone, or that the value is taken."""
    if isinstance(error, StoreError):
        return not isinstance(error, InProgress)
    return state_of(error)[:2] == VIOLATION


def _fault(error: Exception) -> str:
    return "désigne une ligne qui n'existe pas" if state_of(error) == FOREIGN_KEY else "valeur refusée"
