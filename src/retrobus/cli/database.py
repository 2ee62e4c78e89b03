"""`retrobus db`: the schema, by the same migrations as `alembic`."""

from typing import Any

import typer

from retrobus.cli.postgres import say, url_or_exit, with_connection

app = typer.Typer(help="Le schéma de la base.", no_args_is_help=True)


@app.command()
def upgrade(revision: str = typer.Argument("head", help="Révision visée.")) -> None:
    """Met le schéma à jour (comme `alembic upgrade head`)."""
    from retrobus.database import migrate

    url = url_or_exit()
    migrate.upgrade(url, revision)
    say(f"✅ Schéma à la révision {migrate.head() if revision == 'head' else revision}")


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

    async def work(connection: Any) -> list[str]:
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
