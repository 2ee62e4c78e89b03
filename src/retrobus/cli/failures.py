"""What a failure of PostgreSQL, of a file or of a migration means to the operator, in one French sentence."""

from __future__ import annotations

SENTENCES = {
    "3D000": "La base nommée par DATABASE_URL n'existe pas.",
    "28000": "PostgreSQL refuse l'utilisateur ou le mot de passe de DATABASE_URL.",
    "28P01": "PostgreSQL refuse l'utilisateur ou le mot de passe de DATABASE_URL.",
    "42P01": "Le schéma manque : retrobus db upgrade",
    "42703": "Le schéma n'est pas à jour : retrobus db upgrade",
    "42501": "Il manque un droit au rôle de DATABASE_URL ({said}) : prenez le rôle propriétaire, ou retrobus db grant",
    "42704": "PostgreSQL ne connaît pas ce nom : {said}.",
    "25006": "Cette base refuse les écritures : une réplique, ou une bascule en cours.",
    "25P04": "PostgreSQL a coupé une transaction trop longue (transaction_timeout) : rien n'a été fait.",
    "25P03": "PostgreSQL a fermé une transaction inactive (idle_in_transaction_session_timeout) : rien n'a été fait.",
    "57014": "PostgreSQL a interrompu la commande (statement_timeout, ou pg_cancel_backend) : rien n'a été fait.",
    "55P03": "Une autre transaction tient un verrou : réessayez quand elle est finie.",
}
"""By SQLSTATE; `{said}` is the server's own message."""

KEYED = frozenset({"23503", "23505"})
"""A foreign or unique key is broken: the error's detail holds the value of that key and nothing else."""

REFUSED = frozenset({"3D000", "28000", "28P01"})
"""Connections refused for what DATABASE_URL says."""

AGAIN = "Vérifiez le serveur et le résultat, puis relancez."


def sentence(error: BaseException | None) -> str | None:
    """The sentence for this error or for the nearest cause that has one; None for a bug of ours."""
    while error is not None:
        said = _meaning(error)
        if said is not None:
            return said
        error = error.__cause__
    return None


def _meaning(error: BaseException) -> str | None:
    from alembic.util import CommandError

    from retrobus.database.errors import DriverError, PoolerInTheWay, ServerError, is_unavailable
    from retrobus.files.error_texts import is_of_a_file, told
    from retrobus.files.folder import Refused
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
        (ServerError, f"PostgreSQL refuse : {_said(error)}"),
        (DriverError, "DATABASE_URL n'est pas utilisable (voir .env.example)."),
    )
    return next((said for kind, said in kinds if isinstance(error, kind)), None)


def _said(error: BaseException) -> str:
    """The server's message, with the detail only if that is one key: other details may be a whole row, hashes too."""
    detail = getattr(error, "detail", None)
    keyed = detail is not None and getattr(error, "sqlstate", None) in KEYED
    return f"{error.args[0] if error.args else error}" + (f" ({detail})" if keyed else "")


def _away(error: BaseException) -> str:
    """Why there is no connection, and what the operator can do about it."""
    from retrobus.database.errors import CannotConnect, reason_of

    if not isinstance(error, CannotConnect):
        return f"La connexion à PostgreSQL s'est rompue pendant le travail : {reason_of(error)}. {AGAIN}"
    state = getattr(error.__cause__, "sqlstate", None)
    if state in REFUSED:
        return SENTENCES[state]
    return f"Pas de connexion à PostgreSQL : {reason_of(error)}. Vérifiez DATABASE_URL et le serveur."
