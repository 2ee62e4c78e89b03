"""What the driver's errors mean: the table of SQLSTATEs, and the questions that callers ask about an error."""

import socket
import ssl
from enum import Enum, auto

import asyncpg

from retrobus.files.error_texts import NETWORK


class Meaning(Enum):
    """What an error of PostgreSQL means for the one who asked."""

    AWAY = auto()
    """PostgreSQL could not be asked."""
    AGAIN = auto()
    """The same transaction may succeed at the next try."""
    BUSY = auto()
    READ_ONLY = auto()
    OUTDATED = auto()
    """The schema of the database is older or newer than this code."""
    STATEMENT_LOST = auto()
    RIGHT = auto()
    TAKEN = auto()
    INVALID = auto()
    NO_ACCESS = auto()
    IN_PROGRESS = auto()


READ_ONLY = "25006"
"""A write was sent to a standby: after a failover another server takes it."""

MEANINGS: dict[str, tuple[Meaning, str]] = {
    "RB401": (Meaning.NO_ACCESS, "our own function `retrobus_open` raises it: the caller no longer has access"),
    "RB409": (
        Meaning.IN_PROGRESS,
        "our own function `retrobus_kept` raises it: the same Idempotency-Key is being served",
    ),
    "22": (Meaning.INVALID, "a value that the column cannot hold"),
    "23": (
        Meaning.INVALID,
        "a constraint refuses the value: a check, a missing value, a vehicle that does not exist",
    ),
    "23505": (Meaning.TAKEN, "another row has this key or this unique value"),
    "40001": (Meaning.AGAIN, "serialization failure; the service tried three more times"),
    "40P01": (Meaning.AGAIN, "deadlock; the service tried three more times"),
    "53300": (Meaning.BUSY, "the server has no connection slot left, although the pool has one"),
    "53400": (Meaning.BUSY, "a configured limit was reached"),
    "55P03": (Meaning.BUSY, "another transaction held a lock too long"),
    "57014": (Meaning.BUSY, "the statement took too long"),
    READ_ONLY: (
        Meaning.READ_ONLY,
        "read-only transaction, on a standby; the service tried once more on a new connection",
    ),
    "53100": (Meaning.READ_ONLY, "disk full"),
    "53200": (Meaning.READ_ONLY, "out of memory"),
    "58030": (Meaning.READ_ONLY, "the server cannot read or write its files"),
    "42501": (Meaning.RIGHT, "the role lacks a right"),
    "42P01": (Meaning.OUTDATED, "unknown table"),
    "42703": (Meaning.OUTDATED, "unknown column"),
    "42883": (Meaning.OUTDATED, "unknown function"),
    "26000": (
        Meaning.STATEMENT_LOST,
        "unknown prepared statement; the service tried once more on a new connection",
    ),
    "42P05": (
        Meaning.STATEMENT_LOST,
        "the prepared statement exists already; the service tried once more on a new connection",
    ),
    "08": (Meaning.AWAY, "connection lost"),
    "57P01": (Meaning.AWAY, "the server is shutting down"),
    "57P02": (Meaning.AWAY, "the server crashed"),
    "57P03": (Meaning.AWAY, "the server is starting up"),
    "57P05": (Meaning.AWAY, "the server ended an idle session"),
}
"""Every SQLSTATE, or class of them by its two first characters, that the service expects; docs/errors.md repeats it."""

AT_OPENING = {
    "08003": "le serveur l'a coupée",
    "08P01": "le protocole de la connexion est refusé",
    "28000": "l'utilisateur ou le mot de passe est refusé",
    "28P01": "l'utilisateur ou le mot de passe est refusé",
    "3D000": "la base n'existe pas",
    "42501": "cet utilisateur n'a pas le droit de se connecter à cette base",
    "53300": "toutes les connexions du serveur sont prises",
    "55000": "la base n'accepte pas de connexions",
    "57P01": "le serveur s'arrête",
    "57P02": "le serveur s'est arrêté brutalement",
    "57P03": "le serveur démarre ou s'arrête",
}
"""What a SQLSTATE means for an operator when it comes while a connection opens: PostgreSQL is away, whatever it is."""

KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (TimeoutError, "aucune réponse à temps"),
    (ConnectionRefusedError, "aucun serveur n'écoute à cette adresse"),
    (ssl.SSLCertVerificationError, "le certificat TLS du serveur est refusé"),
    (ssl.SSLError, "la connexion TLS échoue"),
    (socket.gaierror, "le nom d'hôte est inconnu"),
    (PermissionError, "un fichier ou la socket de la connexion est interdit à ce compte (droits, HOME)"),
    (FileNotFoundError, "la socket du serveur ou un fichier de la connexion manque"),
    (ConnectionError, "la connexion est coupée"),
    (EOFError, "la connexion est coupée"),
    (asyncpg.TargetServerAttributeNotMatched, "aucun serveur ne convient à target_session_attrs"),
    (asyncpg.ClientConfigurationError, "DATABASE_URL n'est pas utilisable"),
    (ValueError, "DATABASE_URL n'est pas utilisable"),
    (OSError, "le réseau ne mène pas au serveur"),
    (asyncpg.InterfaceError, "elle est fermée"),
)
"""What an error without a SQLSTATE means; the first kind that fits."""


class CannotConnect(Exception):
    """No connection could be opened. The text says why, without host, user or password."""

    def __init__(self, reason: str, *, crowded: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.crowded = crowded
        """Whether the server lives, and has no connection left to give."""


class PoolerInTheWay(CannotConnect):
    """These settings cannot work behind the pooler that is there; the text is a sentence for the operator."""


ServerError = asyncpg.PostgresError
"""An error that the server itself sent, with a SQLSTATE."""

DriverError = asyncpg.InterfaceError
"""An error of the driver itself, for example about a connection that is closed."""

REFUSED_VALUES = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)
"""The server refuses a value: a constraint, or a column that cannot hold it."""

UNREADABLE = (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError)
"""A table is missing before the first migration, or this role may not read it."""

FAILURES = (CannotConnect, ServerError, DriverError, asyncpg.InternalClientError, OSError)
"""Every error with which a question to PostgreSQL can end; anything else is a bug of ours."""

STALE = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)
"""A migration changed a table, and this connection still knows the former one: a new connection does not."""


def state_of(error: BaseException) -> str:
    """The SQLSTATE of an error; empty if it has none."""
    return getattr(error, "sqlstate", None) or ""


def meaning_of(error: BaseException) -> Meaning | None:
    """The kind of an error of the server; None if it has no SQLSTATE, or one that the service does not expect."""
    state = state_of(error)
    kind, _ = MEANINGS.get(state) or MEANINGS.get(state[:2]) or (None, "")
    return kind


def is_unavailable(error: BaseException) -> bool:
    """Whether an error means that PostgreSQL could not be asked, rather than that it said no.

    Every failure to open a connection means it. Of a connection in use, its loss does.
    """
    if isinstance(error, CannotConnect):
        return True
    if state_of(error):
        return meaning_of(error) is Meaning.AWAY
    if isinstance(error, DriverError):
        return "clos" in str(error)  # "connection is closed", "the underlying connection is closed"
    if isinstance(error, OSError) and error.errno in NETWORK:
        return True
    return isinstance(error, ConnectionError | TimeoutError | asyncpg.InternalClientError | EOFError)


def is_refusal(error: BaseException) -> bool:
    """Whether the server itself said no, so that the transaction is certainly not applied."""
    return isinstance(error, ServerError) and not is_unavailable(error)


def reason_of(error: BaseException) -> str:
    """Why a connection does not open, for people; it never quotes the error, whose text may hold a secret."""
    if isinstance(error, CannotConnect):
        return error.reason
    state = state_of(error)
    if state:
        return f"{AT_OPENING.get(state, 'le serveur refuse la connexion')} ({state})"
    if type(error) is ConnectionError:  # the driver raises the bare class when the server refuses TLS
        return "le serveur n'accepte pas la demande de TLS (sslmode)"
    meaning = next((text for kind, text in KINDS if isinstance(error, kind)), "la connexion échoue")
    return f"{meaning} ({type(error).__name__})"


def column_of(error: BaseException) -> str:
    """The column that an error is about, from the name of its constraint (`table_column[_kind]`)."""
    column, table, name = (getattr(error, f"{part}_name", None) or "" for part in ("column", "table", "constraint"))
    if column:
        return str(column)
    name = name.removeprefix(f"{table}_")
    for kind in ("_check", "_fkey", "_key"):
        name = name.removesuffix(kind)
    return "id" if name == "pkey" else name
