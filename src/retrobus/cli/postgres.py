"""A connection to Postgres for one command, and what each failure of it means to the operator."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from retrobus.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from retrobus.database.server import Timelines

T = TypeVar("T")
TIMEOUT = 10.0
CONFIGURATION = 78
"""Exit code for settings with which nothing can start (EX_CONFIG of sysexits)."""

SENTENCES = {
    "3D000": "La base nommée par DATABASE_URL n'existe pas.",
    "28000": "PostgreSQL refuse l'utilisateur ou le mot de passe de DATABASE_URL.",
    "28P01": "PostgreSQL refuse l'utilisateur ou le mot de passe de DATABASE_URL.",
    "42P01": "Le schéma manque : retrobus db upgrade",
    "42703": "Le schéma n'est pas à jour : retrobus db upgrade",
    "42501": "Il manque un droit au rôle de DATABASE_URL ({said}) : prenez le rôle propriétaire, ou retrobus db grant",
    "25006": "Cette base refuse les écritures : une réplique, ou une bascule en cours.",
    "25P04": "PostgreSQL a coupé une transaction trop longue (transaction_timeout) : rien n'a été fait.",
    "25P03": "PostgreSQL a fermé une transaction inactive (idle_in_transaction_session_timeout) : rien n'a été fait.",
    "57014": "PostgreSQL a interrompu la commande (statement_timeout, ou pg_cancel_backend) : rien n'a été fait.",
    "55P03": "Une autre transaction tient un verrou : réessayez quand elle est finie.",
}


KEYED = frozenset({"23503", "23505"})
"""Errors whose detail is the value of one key: a foreign key or a unique one that is broken."""

AGAIN = "Vérifiez le serveur et le résultat, puis relancez."
REFUSED = frozenset({"3D000", "28000", "28P01"})
"""Connections refused for what DATABASE_URL says."""


def stop(text: str, code: int = 1) -> typer.Exit:
    """Says what is wrong and how to cure it; the exit of a command that did nothing."""
    typer.echo(f"❌ {text}", err=True)
    return typer.Exit(code)


def say(text: str) -> None:
    """Tells that work is done. A closed output does not undo it: the command's exit code stays that of its work."""
    try:
        typer.echo(text)
        if sys.stdout is not None:  # Python's way to say that the output was closed from the start
            sys.stdout.flush()
    except (OSError, ValueError):
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open until the program ends


def warn(text: str) -> None:
    """Tells on the error output what did not go well after the work was done."""
    with suppress(OSError, ValueError):
        typer.echo(f"⚠️  {text}", err=True)


def url_or_exit() -> str:
    """DATABASE_URL, or a sentence about its absence and exit code 78."""
    url = Settings().database_url
    if url is None:
        raise stop("DATABASE_URL manque : indiquez la base (voir .env.example).", CONFIGURATION)
    return url.get_secret_value()


def with_connection(work: Callable[[Any], Awaitable[T]], timelines: Timelines | None = None) -> T:
    """Runs work on one connection; its failures are for `sentence`.

    With `timelines` every server of DATABASE_URL is heard first, and no former primary is taken.
    """
    import asyncpg

    from retrobus.database.hosts import connect_for_command

    async def run() -> T:
        connection = await connect_for_command(url, TIMEOUT, "retrobus cli", timelines)
        try:
            return await work(connection)
        except asyncpg.InterfaceError as error:
            raise _behind(error)  # noqa: B904 - the error behind it has a cause of its own
        finally:
            try:
                await connection.close(timeout=TIMEOUT)
            except Exception:  # noqa: BLE001 - the work is done or has failed: how its line ends changes nothing
                connection.terminate()

    url = url_or_exit()
    return asyncio.run(run())


def _behind(error: BaseException) -> BaseException:
    """Why the work stopped: no transaction can be ended on a cut line, and the driver's error about that hides it.

    For example: the disk is full, meanwhile the server cut the idle line; the operator must hear of the disk.
    """
    import asyncpg

    while isinstance(error, asyncpg.InterfaceError) and error.__context__ is not None:
        error = error.__context__
    return error


def sentence(error: BaseException | None) -> str | None:
    """What a failure of Postgres or of the migrations means, in one sentence; None for a bug of ours."""
    while error is not None:
        said = _meaning(error)
        if said is not None:
            return said
        error = error.__cause__
    return None


def _meaning(error: BaseException) -> str | None:
    import asyncpg
    from alembic.util import CommandError

    from retrobus.database.pooler import PoolerInTheWay
    from retrobus.files.folder import Refused
    from retrobus.files.trouble import is_of_a_file, told
    from retrobus.store.availability import is_unavailable
    from retrobus.store.confirmed import Unconfirmed

    state = getattr(error, "sqlstate", None)
    if isinstance(error, PoolerInTheWay):
        return f"DATABASE_URL : {error}."
    if isinstance(error, Refused):
        return f"{error}."
    if isinstance(error, OSError) and is_of_a_file(error):
        return f"{told(error)}."
    if is_unavailable(error):
        return _away(error)
    if state in SENTENCES:
        return SENTENCES[state].format(said=error)
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        (Unconfirmed, str(error)),
        (CommandError, f"Migration impossible : {error}"),
        (asyncpg.PostgresError, f"PostgreSQL refuse : {_said(error)}"),
        (asyncpg.InterfaceError, "DATABASE_URL n'est pas utilisable (voir .env.example)."),
    )
    return next((said for kind, said in kinds if isinstance(error, kind)), None)


def _said(error: BaseException) -> str:
    """The server's message; its detail only where that is one key: elsewhere it may be a whole row, hashes included."""
    detail = getattr(error, "detail", None)
    keyed = detail is not None and getattr(error, "sqlstate", None) in KEYED
    return f"{error.args[0] if error.args else error}" + (f" ({detail})" if keyed else "")


def _away(error: BaseException) -> str:
    """Why there is no connection, and what the operator can do about it."""
    from retrobus.database.connecting import CannotConnect, reason_of

    if not isinstance(error, CannotConnect):
        return f"La connexion à PostgreSQL s'est rompue pendant le travail : {reason_of(error)}. {AGAIN}"
    state = getattr(error.__cause__, "sqlstate", None)
    if state in REFUSED:
        return SENTENCES[state]
    return f"Pas de connexion à PostgreSQL : {reason_of(error)}. Vérifiez DATABASE_URL et le serveur."
