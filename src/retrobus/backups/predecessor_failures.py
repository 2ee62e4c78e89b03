"""What a failure of the predecessor's live database means to the operator: one French sentence, with its cure."""

from collections.abc import Iterator
from contextlib import contextmanager

from retrobus.backups import BadBackup
from retrobus.database.errors import (
    CannotConnect,
    DriverError,
    PoolerInTheWay,
    ServerError,
    is_unavailable,
    reason_of,
    state_of,
)
from retrobus.files.error_texts import is_of_a_file, told

WRONG_USER = "Vérifiez l'utilisateur de l'adresse et son mot de passe (adresse, PGPASSWORD ou ~/.pgpass)."
UNREACHED = "Vérifiez l'adresse, et que ce serveur accepte les connexions de cette machine (pg_hba.conf, pare-feu)."
AT_OPENING = {
    "28P01": WRONG_USER,
    "28000": f"{WRONG_USER} Un refus de pg_hba.conf se dit de même.",
    "3D000": "Vérifiez le nom de la base : psql --list montre celles de ce serveur.",
    "42501": "Avec le propriétaire : GRANT CONNECT ON DATABASE … TO …;",
    "53300": "Réessayez, ou arrêtez d'abord l'ancien serveur.",
}
"""By SQLSTATE of a refused connection, what the operator can do."""

IN_USE = {
    "42501": "Prenez le propriétaire des tables ; si elles ont une sécurité par ligne, un rôle avec BYPASSRLS.",
    "55P03": "Une transaction tient un verrou sur cette table : arrêtez l'ancien serveur, puis relancez.",
    "57014": "Relancez la commande.",
}
"""By SQLSTATE of a refused question."""


@contextmanager
def failures_told(name: str) -> Iterator[None]:
    """Makes every failure of the block a BadBackup; `name` is the address without user and password.

    The text quotes the server only when a question was refused, never when a connection was: that may hold a user.
    """
    try:
        yield
    except PoolerInTheWay as error:
        raise BadBackup(f"{name} : {error}.") from error
    except (CannotConnect, ServerError, DriverError, OSError) as error:
        raise BadBackup(_sentence(name, error)) from error


def _sentence(name: str, error: BaseException) -> str:
    if isinstance(error, OSError) and is_of_a_file(error):
        return f"La copie de {name} n'a pas pu être écrite : {told(error)}. Rien n'a été changé."
    if isinstance(error, CannotConnect):
        reason = error.reason.replace("DATABASE_URL", "l'adresse")
        return f"Pas de connexion à {name} : {reason}. {AT_OPENING.get(state_of(error.__cause__ or error), UNREACHED)}"
    if is_unavailable(error):
        return f"La connexion à {name} s'est rompue : {reason_of(error)}. Rien n'a été changé : relancez."
    said = error.args[0] if error.args else type(error).__name__
    cure = IN_USE.get(state_of(error), "Rien n'a été changé.")
    return f"{name} refuse la lecture : {said} ({state_of(error) or 'pilote'}). {cure}"
