"""The program `retrobus`: its groups of commands, and how each failure ends it."""

import sys

import typer
from pydantic import ValidationError

import retrobus
from retrobus.cli import database, members, serving
from retrobus.embedded import EmbeddedPostgresError
from retrobus.settings import complaints

CONFIGURATION = 78
"""Exit code for settings with which nothing can start (EX_CONFIG of sysexits)."""

app = typer.Typer(
    help="RétroBus API : la collection, ses sorties et ses membres. PostgreSQL fait foi.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("dev")(serving.dev)
app.command("serve")(serving.serve)
app.command("token")(members.token)
app.add_typer(database.app, name="db")
app.add_typer(members.app, name="member")


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Affiche la version.")) -> None:  # noqa: FBT001 - typer reads it so
    if version:
        typer.echo(retrobus.__version__)
        raise typer.Exit


def main() -> None:
    """Runs one command; an error that the operator can cure is one sentence each, never a trace."""
    try:
        app()
    except ValidationError as error:
        for line in complaints(error):
            typer.echo(f"❌ {line}", err=True)
        sys.exit(CONFIGURATION)
    except EmbeddedPostgresError as error:
        typer.echo(f"❌ {error}", err=True)
        sys.exit(1)
