"""`retrobus member export / erase`: what is held about members, and how all of it is erased for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from retrobus.cli.folder import backups_folder, without_a_service
from retrobus.cli.postgres import with_connection
from retrobus.cli.terminal import DryRun, Yes, answer, confirm_typed, say, stop
from retrobus.words import plural

if TYPE_CHECKING:
    from pathlib import Path

    from retrobus.database.connection import AnyConnection
    from retrobus.privacy.database import Document
    from retrobus.privacy.person import Person

Key = Annotated[str, typer.Argument(help="id, adresse ou matricule du membre.")]


def export(key: Key) -> None:
    """Donne en JSON tout ce qui est gardé d'un membre, et rien d'autrui : base, journal, instantané, backups."""
    person, document = with_connection(lambda connection: _told(connection, key))
    _check_known(document, key)
    found = _in_files(person, backups_folder())
    answer(document | found | {"toLookAt": document["toLookAt"] + found["toLookAt"]})


async def _told(connection: AnyConnection, key: str) -> tuple[Person, Document]:
    from retrobus.accounts.changes import SeveralMembers
    from retrobus.privacy import database

    try:
        person, row = await database.find(connection, key)
    except SeveralMembers as error:
        raise stop(str(error)) from None
    return person, {"member": row, **await database.held(connection, person)}


def _in_files(person: Person, folder: Path) -> Document:
    from retrobus.privacy import files

    holding, unknown = files.backups_about(person, folder)
    return {
        "journal": files.entries_told(person, folder),
        "snapshot": files.rows_told(person, folder),
        "backups": holding,
        "toLookAt": files.doubtful(person, folder) + unknown,
    }


def _check_known(document: Document, key: str) -> None:
    if not any(document.values()):
        raise stop(f"rien sur {key}")


def erase(key: Key, *, dry_run: DryRun = False, yes: Yes = False) -> None:
    """Efface un membre et ses traces, pour toujours : aucune restauration ne le ramène."""
    folder = backups_folder()
    with without_a_service(folder):
        person, document = with_connection(lambda connection: _told(connection, key))
        _check_known(document, key)
        _say(person, document, folder)
        if dry_run:
            return
        confirm_typed("l'id", person.id, yes=yes)
        with_connection(lambda connection: _erased(connection, person, folder))
        say(f"✅ {person.id} effacé de la base, du journal et de l'instantané")
        _say_remains(person, folder)


async def _erased(connection: AnyConnection, person: Person, folder: Path) -> None:
    """Erases in one transaction, with the files inside it: after a failure the member is whole, and the command can be
    repeated.
    """
    from retrobus.privacy import database, files
    from retrobus.store.confirmed import confirmed

    async with confirmed(connection):
        await database.erase(connection, person)
        files.forget(person, folder)


def _say(person: Person, document: Document, folder: Path) -> None:
    from retrobus.privacy import files

    counts = (
        (1 if document["member"] else 0, "ligne de la table member", ""),
        (len(document["answers"]), "réponse gardée (Idempotency-Key)", "réponses gardées (Idempotency-Key)"),
        (
            len(document["deletions"]),
            "trace de suppression rendue anonyme",
            "traces de suppression rendues anonymes",
        ),
        (len(document["conflicts"]) + len(document["toLookAt"]), "conflit", ""),
        (len(files.entries_about(person, folder)), "entrée du journal", "entrées du journal"),
        (len(files.rows_about(person, folder)), "ligne de l'instantané", "lignes de l'instantané"),
    )
    typer.echo(f"{person.id} : " + ", ".join(plural(count, one, many) for count, one, many in counts if count))


def _say_remains(person: Person, folder: Path) -> None:
    found = _in_files(person, folder)
    for name in found["backups"]:
        say(f"⚠️  {folder / name} contient encore cette personne ; une restauration ne la ramènera pas")
    for name in found["toLookAt"]:
        say(f"⚠️  {folder / name} n'a pas pu être lu comme un backup : à regarder à la main")
    say("Hors d'ici : sauvegardes pg_dump et archives WAL, à laisser expirer.")
