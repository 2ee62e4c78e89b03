"""Opens one connection to one server; whatever prevents it becomes one error with a sentence for people.

An error while a connection opens means that PostgreSQL is away, whatever its kind: no port, no right, no such database,
a wrong password, a refused certificate. Only here can an error of a file (a client certificate, HOME) mean that.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg

C = TypeVar("C")

STATES = {
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
"""What the SQLSTATE of a refused connection means."""

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
"""What other errors mean; the first kind that fits."""


class CannotConnect(Exception):
    """No connection could be opened. The text says why, without host, user or password."""

    def __init__(self, reason: str, *, crowded: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.crowded = crowded
        """Whether the server lives, and has no connection left to give."""


def reason_of(error: BaseException) -> str:
    """A short sentence for people; it never quotes the error, whose text may hold an address or a secret."""
    if isinstance(error, CannotConnect):
        return error.reason
    state = getattr(error, "sqlstate", None)
    if state is not None:
        return f"{STATES.get(state, 'le serveur refuse la connexion')} ({state})"
    if type(error) is ConnectionError:  # so the driver says it
        return "le serveur n'accepte pas la demande de TLS (sslmode)"
    meaning = next((text for kind, text in KINDS if isinstance(error, kind)), "la connexion échoue")
    return f"{meaning} ({type(error).__name__})"


async def opened(opening: Callable[[], Awaitable[C]], seconds: float) -> C:
    """What `opening` gives within so many seconds; CannotConnect for every failure."""
    try:
        async with asyncio.timeout(seconds):
            return await opening()
    except CannotConnect:
        raise
    except Exception as error:
        crowded = isinstance(error, asyncpg.TooManyConnectionsError)
        raise CannotConnect(reason_of(error), crowded=crowded) from error
