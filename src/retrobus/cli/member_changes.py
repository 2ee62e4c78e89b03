"""`retrobus member set-password / disable / enable / set-role`: changes of one account, by the rules of the API."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from retrobus.cli.member_list import LABELS, full_name, label
from retrobus.cli.members import PasswordStdin, new_password
from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import AsJson, DryRun, answer, report, say, stop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from retrobus.database.connection import AnyConnection
    from retrobus.store.contract import Row

Key = Annotated[str, typer.Argument(help="id, adresse ou matricule du membre.")]
Role = Annotated[str, typer.Argument(help=f"{', '.join(LABELS['role'])}.")]

REVOKED = "Ses jetons ne valent plus : il faut se reconnecter."


class Changed(NamedTuple):
    """The member's row before the change, and the columns that the change gives another value."""

    before: Row
    values: Row


def set_password(
    key: Key, *, password_stdin: PasswordStdin = False, dry_run: DryRun = False, as_json: AsJson = False
) -> None:
    """Donne un nouveau mot de passe à un membre, et met fin à ses jetons."""
    before = with_connection(lambda connection: _known(connection, key))
    if dry_run:
        _tell(Changed(before, {"password_hash": ""}), done=False, as_json=as_json)
        return
    if not as_json and not password_stdin:
        typer.echo(f"{_named(before)} : nouveau mot de passe")
    password = new_password(from_stdin=password_stdin)
    done = with_connection(lambda connection: _with_password(connection, before["id"], password))
    _tell(done, done=True, as_json=as_json)


def disable(key: Key, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Ferme un compte : le membre ne peut plus se connecter, ses jetons ne valent plus ; sa fiche reste."""
    _set(key, {"status": "disabled"}, dry_run=dry_run, as_json=as_json)


def enable(key: Key, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Rouvre un compte désactivé, ou celui d'un membre parti ; l'adhésion reste ce qu'elle est."""
    _set(key, {"status": "active"}, dry_run=dry_run, as_json=as_json)


def set_role(key: Key, role: Role, *, dry_run: DryRun = False, as_json: AsJson = False) -> None:
    """Donne un rôle à un membre ; le dernier administrateur actif garde le sien."""
    if role.upper() not in LABELS["role"]:
        raise stop(f"rôle inconnu : {role} ({', '.join(LABELS['role'])})")
    _set(key, {"role": role.upper()}, dry_run=dry_run, as_json=as_json)


def _set(key: str, values: Row, *, dry_run: bool, as_json: bool) -> None:
    async def work(connection: AnyConnection) -> Changed:
        found = await _known(connection, key)
        return await _changed(connection, found["id"], values, dry_run=dry_run)

    _tell(with_connection(work), done=not dry_run, as_json=as_json)


async def _known(connection: AnyConnection, key: str) -> Row:
    """The member of this name; the command ends if there is none, or more than one."""
    from retrobus.accounts.changes import SeveralMembers, member_named

    try:
        found = await member_named(connection, key)
    except SeveralMembers as error:
        raise stop(str(error)) from None
    if found is None:
        raise stop(f"aucun membre {key} : donnez son id, son adresse ou son matricule (retrobus member list)")
    return found


async def _with_password(connection: AnyConnection, member_id: str, password: str) -> Changed:
    from retrobus.accounts.passwords import hash_password

    return await _changed(connection, member_id, {"password_hash": await hash_password(password)}, dry_run=False)


async def _changed(connection: AnyConnection, member_id: str, values: Row, *, dry_run: bool) -> Changed:
    """Gives the member these values; a dry run goes the same way, refusals included, and takes all of it back."""
    from retrobus.accounts.changes import LAST_ADMIN, change_account, with_epoch
    from retrobus.store.confirmed import confirmed
    from retrobus.store.errors import Conflict, NotFound

    seen: list[Changed] = []

    def change(old: Row) -> Row:
        differing = {name: value for name, value in values.items() if old[name] != value}
        seen.append(Changed(old, differing))
        return with_epoch(old, differing)

    try:
        async with _taken_back(connection) if dry_run else confirmed(connection):
            await change_account(connection, member_id, change)
    except Conflict:
        raise stop(LAST_ADMIN) from None
    except NotFound:
        raise stop(f"le membre {member_id} vient d'être supprimé : rien n'a été changé") from None
    return seen[0]


@asynccontextmanager
async def _taken_back(connection: AnyConnection) -> AsyncIterator[None]:
    """A transaction for as long as the block, which leaves nothing behind."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield
    finally:
        await transaction.rollback()


def _tell(changed: Changed, *, done: bool, as_json: bool) -> None:
    if as_json:
        (report if done else answer)(_document(changed, done=done))
        return
    if not changed.values:
        say(f"{_named(changed.before)} : rien à changer, c'est déjà ainsi")
        return
    say(f"{'✅' if done else 'À faire :'} {_named(changed.before)} : {_what(changed)}")
    if done:
        say(REVOKED)
    after = changed.before | changed.values
    if after["status"] != "active":
        state = label("status", after["status"])
        say(f"⚠️  Connexion impossible, état {state} : retrobus member enable {after['email']}")
    elif after["password_hash"] is None:
        say(f"⚠️  Compte sans mot de passe : retrobus member set-password {after['email']}")


def _named(row: Row) -> str:
    name = full_name(row)
    return f"{name} ({row['email']})" if name else str(row["email"])


def _what(changed: Changed) -> str:
    """The change in words: `rôle membre → administrateur`."""
    if "password_hash" in changed.values:
        return "nouveau mot de passe"
    [(column, value)] = changed.values.items()
    noun = {"role": "rôle", "status": "état"}[column]
    return f"{noun} {label(column, changed.before[column])} → {label(column, value)}"


def _document(changed: Changed, *, done: bool) -> dict[str, Any]:
    """What a script reads; a password is named and never shown."""
    before, after = changed
    shown = {"role": before["role"], "status": before["status"]} | after
    shown.pop("password_hash", None)
    fields = [
        {"field": "password"} if name == "password_hash" else {"field": name, "from": before[name], "to": value}
        for name, value in after.items()
    ]
    member = {"id": before["id"], "email": before["email"], "name": full_name(before), **shown}
    return {"done": done, "member": member, "changes": fields, "tokensRevoked": done and bool(fields)}
