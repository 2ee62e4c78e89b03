"""`retrobus db`: the schema, by the same migrations as `alembic`."""

import typer

from retrobus.cli.postgres import url_or_exit

app = typer.Typer(help="Le schéma de la base.", no_args_is_help=True)


@app.command()
def upgrade(revision: str = typer.Argument("head", help="Révision visée.")) -> None:
    """Met le schéma à jour (comme `alembic upgrade head`)."""
    from retrobus import migrate

    url = url_or_exit()
    migrate.upgrade(url, revision)
    typer.echo(f"✅ Schéma à la révision {migrate.current(url)}")


@app.command()
def current() -> None:
    """Affiche la révision de la base, et celle que ce programme attend."""
    from retrobus import migrate

    found, expected = migrate.current(url_or_exit()), migrate.head()
    typer.echo(f"Révision de la base : {found or 'aucune'} (attendue : {expected})")
    if found != expected:
        typer.echo("Mettre à jour : retrobus db upgrade")


@app.command()
def history() -> None:
    """Affiche toutes les révisions, la plus récente d'abord."""
    from retrobus import migrate

    for revision, subject in migrate.history():
        typer.echo(f"{revision}  {subject}")
