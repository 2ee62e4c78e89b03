"""Changes of an account that the API and the commands make by the same rules."""

from unicodedata import normalize

from retrobus.database import sql
from retrobus.database.connection import AnyConnection
from retrobus.model.resources import MEMBER
from retrobus.store.contract import Change, Row, Terms, Update
from retrobus.store.steps import act

NAMED_SO = """id = $1 OR lower(email COLLATE "C") = lower($1::text COLLATE "C")
OR lower(matricule COLLATE "C") = lower($1::text COLLATE "C") ORDER BY id"""
LAST_ADMIN = "C'est le dernier administrateur actif : nommez-en un autre d'abord."


class SeveralMembers(ValueError):
    """The text names more than one member: the command must not choose between them."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__(f"plusieurs membres portent ce nom : {', '.join(ids)} ; donnez ce qu'un seul porte")


async def member_named(connection: AnyConnection, name: str) -> Row | None:
    """The member with this id, e-mail or matricule, secrets included; None if there is none.

    SeveralMembers if the text names two: the id of one may be the matricule of another.
    """
    rows = await connection.fetch(sql.select(MEMBER, NAMED_SO), normalize("NFC", name.strip()))
    if len(rows) > 1:
        raise SeveralMembers([row["id"] for row in rows])
    return dict(rows[0]) if rows else None


def with_epoch(old: Row, changed: Row) -> Row:
    """The changed columns of a member; a new password ends the tokens of the account.

    For a new role or status the trigger of the table does the same.
    """
    return changed | {"token_epoch": old["token_epoch"] + 1} if "password_hash" in changed else changed


async def change_account(connection: AnyConnection, key: str, change: Change) -> None:
    """Changes the member with this id in the open transaction of a command.

    NotFound if the member was deleted meanwhile; Conflict if the last active ADMIN would go.
    """
    await connection.execute(sql.AS_COMMAND)
    await act(connection, Update(MEMBER, key, change, Terms(None)), whole=False)
