"""The program `retrobus`: its groups of commands, and how each failure ends it."""

import os
import sys
from pathlib import Path

import typer
from pydantic import ValidationError

import retrobus
from retrobus.backups import BadBackup
from retrobus.cli import (
    backup,
    cleaning,
    database,
    export,
    follow,
    importing,
    member_changes,
    member_list,
    members,
    privacy,
    purge,
    repair,
    restore,
    resync,
    retention,
    serving,
    show,
    unarchive,
    verify,
)
from retrobus.cli.doctor.command import doctor
from retrobus.cli.failures import sentence
from retrobus.cli.terminal import CONFIGURATION
from retrobus.cli.usage import Program, told
from retrobus.settings.complaints import complaints
from retrobus.settings.env_files import VARIABLE, UnreadableFile, use_env_files

app = Program(
    help="RétroBus API : la collection, ses sorties et ses membres. PostgreSQL fait foi.",
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("dev")(serving.dev)
app.command("serve")(serving.serve)
app.command("token")(members.token)
app.command("restore")(restore.restore)
app.command("import")(importing.import_)
app.command("verify")(verify.verify)
app.command("follow")(follow.follow)
app.command("doctor")(doctor)
app.command("export")(export.export)
app.command("purge")(purge.purge)
app.command("resync")(resync.resync)
members.app.command("list")(member_list.list_)
members.app.command("set-password")(member_changes.set_password)
members.app.command("set-role")(member_changes.set_role)
members.app.command("disable")(member_changes.disable)
members.app.command("enable")(member_changes.enable)
members.app.command("export")(privacy.export)
members.app.command("erase")(privacy.erase)
database.app.command("reset")(cleaning.reset)
database.app.command("clean")(cleaning.clean)
database.app.command("repair")(repair.repair)
database.app.command("show")(show.show)
backup.app.command("delete")(retention.delete)
backup.app.command("archive")(retention.archive)
app.command("unarchive")(unarchive.unarchive)
app.add_typer(backup.app, name="backup")
app.add_typer(database.app, name="db")
app.add_typer(members.app, name="member")


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Affiche la version."),  # noqa: FBT001 - typer reads it so
    env_file: list[Path] = typer.Option(  # noqa: B008 - typer reads it so
        [],
        metavar="FICHIER",
        help="Lit les réglages dans ce fichier, et non dans .env et .env.local ; répété, le dernier l'emporte "
        f"(ou : {VARIABLE}, fichiers séparés par « {os.pathsep} »).",
    ),
) -> None:
    if version:
        typer.echo(retrobus.__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        context.fail("Missing command.")
    use_env_files(env_file)


def main() -> None:
    """Runs one command; an error that the operator can cure is one sentence each, never a trace."""
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except typer.TyperException as error:
        _end([told(error)] if error.format_message() else [], error.exit_code)
    except typer.Abort:
        typer.echo(err=True)  # the question stands without an answer on its line
        _end(["pas de réponse : rien n'a été changé"], 1)
    except (ValidationError, UnreadableFile) as error:
        _end(complaints(error), CONFIGURATION)
    except BadBackup as error:
        _end([str(error)], 1)
    except Exception as error:
        known = sentence(error)
        if known is None:
            raise
        _end([known], 1)


def _end(lines: list[str], code: int) -> None:
    for line in lines:
        typer.echo(f"❌ {line}", err=True)
    sys.exit(code)
