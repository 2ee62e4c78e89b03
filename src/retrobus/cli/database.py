"""`retrobus db`: the schema, by the same migrations as `alembic`."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrobus.cli.postgres import url_or_exit, with_connection
from retrobus.cli.terminal import say, stop, warn
from retrobus.cli.usage import Program

if TYPE_CHECKING:
    from retrobus.cli.drafting import Difference
    from retrobus.database.connection import AnyConnection

app = Program(help="Le schéma de la base.")


@app.command()
def upgrade(revision: str = typer.Argument("head", help="Révision visée.")) -> None:
    """Met le schéma à jour (comme `alembic upgrade head`)."""
    from retrobus.database import migrate

    url = url_or_exit()
    with_connection(_look_beside)
    migrate.upgrade(url, revision)
    say(f"✅ Schéma à la révision {migrate.head() if revision == 'head' else revision}")


async def _look_beside(connection: AnyConnection) -> None:
    """Says what else is in the database; ends the command if a table of another program has the name of one of ours."""
    from retrobus.backups.predecessor_database import TABLES, tables_seen
    from retrobus.model.tables import metadata

    seen = await tables_seen(connection)
    taken = sorted(metadata.tables.keys() & seen.keys())
    if taken and "alembic_version" not in seen:
        raise stop(
            f"cette base a déjà des tables {', '.join(taken)} d'un autre programme, que la migration ne touche pas : "
            "donnez à RétroBus API une base vide (createdb, puis DATABASE_URL)"
        )
    beside = [name for name in TABLES if name in seen]
    if beside:
        say(
            f"ℹ️  Cette base contient les tables du prédécesseur ({', '.join(beside)}) : la migration n'y touche pas.\n"
            "   Mieux vaut une base à part : prisma db push et prisma migrate reset supprimeraient les nôtres "
            "(docs/migration.md#préparer)."
        )


@app.command()
def current() -> None:
    """Affiche la révision de la base, et celle que ce programme attend."""
    from retrobus.database import migrate

    found, expected = migrate.current(url_or_exit()), migrate.head()
    typer.echo(f"Révision de la base : {found or 'aucune'} (attendue : {expected})")
    if found != expected:
        typer.echo("Mettre à jour : retrobus db upgrade")


@app.command()
def history() -> None:
    """Affiche toutes les révisions, la plus récente d'abord."""
    from retrobus.database import migrate

    for revision, subject in migrate.history():
        typer.echo(f"{revision}  {subject}")


@app.command()
def grant(
    role: str = typer.Option(..., help="Rôle avec lequel le service se connecte."),
    show: bool = typer.Option(False, "--print", help="Affiche les GRANT, n'exécute rien."),  # noqa: FBT001 - typer reads it so
) -> None:
    """Donne au rôle du service ses droits, et aucun autre ; à lancer avec le rôle propriétaire."""
    from retrobus.database import rights

    async def work(connection: AnyConnection) -> list[str]:
        found = await rights.grants(connection, role)
        if not show:
            async with connection.transaction():
                for statement in found:
                    await connection.execute(statement)
        return found

    done = with_connection(work)
    if show:
        typer.echo("\n".join(f"{statement};" for statement in done))
    else:
        say(f"✅ {role} a les droits du service")


@app.command("new-migration")
def new_migration(
    subject: Annotated[str, typer.Argument(help="Ce qu'elle fait, en anglais : « add sponsor ».")],
    *,
    show: Annotated[bool, typer.Option("--print", help="Affiche le fichier, n'écrit rien.")] = False,
) -> None:
    """Développement : écrit la migration du schéma d'aujourd'hui vers les tables du code."""
    from retrobus.cli.development import migrated_url
    from retrobus.cli.drafting import drafted
    from retrobus.database import migrate

    if not re.fullmatch(r"[A-Za-z][\w -]{2,60}", subject, re.ASCII):
        raise stop("sujet attendu en lettres sans accent, comme « add sponsor »")
    before = migrate.head()
    revision = f"{int(before) + 1:04}"
    with migrated_url() as url:
        found = asyncio.run(_differences(url))
    text = drafted(found, subject, revision, before)
    path = Path(migrate.scripts().versions) / f"{revision}_{re.sub('[ -]+', '_', subject.lower())}.py"
    if show:
        typer.echo(text, nl=False)
    else:
        path.write_text(text, encoding="utf-8")
        say(f"✅ {path}")
    _say_what_is_left(found, revision)


async def _differences(url: str) -> list[Difference]:
    from retrobus.cli.drafting import differences
    from retrobus.database import migrate

    async with migrate.connect(url) as connection:
        return await connection.run_sync(differences)


def _say_what_is_left(found: list[Difference], revision: str) -> None:
    for one in found:
        if one.remark:
            warn(one.remark)
    if not found:
        warn("le code ne dit rien de plus que le schéma : écrivez les instructions de UPGRADE et DOWNGRADE")
    warn(f'ensuite : REVISION = "{revision}" dans src/retrobus/model/tables.py, puis pytest tests/database')
