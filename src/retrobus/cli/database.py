"""`retrobus db`: the schema, by the same migrations as `alembic`."""

import typer

from retrobus import migrate
from retrobus.cli.postgres import url_or_exit

app = typer.Typer(help="Le schéma de la base.", no_args_is_help=True)


@app.command()
def upgrade(revision: str = typer.Argument("head", help="Révision visée.")) -> None:
    """Met le schéma à jour (comme `alembic upgrade head`)."""
    migrate.upgrade(url_or_exit(), revision)
    typer.echo(f"✅ Schéma à la révision {migrate.head() if revision == 'head' else revision}")


@app.command()
def current() -> None:
    """Affiche la révision de la base."""
    migrate.current(url_or_exit())


@app.command()
def history() -> None:
    """Affiche toutes les révisions, la plus récente d'abord."""
    migrate.history()
