"""How every command speaks with the operator: the options they share, output, questions, and the end of a command."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrobus.words import plural

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from retrobus.backups.create import Progress

CONFIGURATION = 78
"""Exit code for settings with which nothing can start (EX_CONFIG of sysexits)."""

DEFAULT_DATA = Path(".data")
"""Folder of the development database, beside the code."""

ANSWERS = dict.fromkeys(("o", "oui", "y", "yes"), True) | dict.fromkeys(("n", "non", "no", ""), False)
AsJson = Annotated[bool, typer.Option("--json", help="Réponse en JSON sur la sortie standard.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Dit ce qui serait fait, et ne fait rien.")]
Yes = Annotated[bool, typer.Option("--yes", help="Sans demander de confirmation.")]


def stop(text: str, code: int = 1) -> typer.Exit:
    """Prints what is wrong and how to cure it; the caller raises what this returns, and the command ends."""
    typer.echo(f"❌ {text}", err=True)
    return typer.Exit(code)


def say(text: str) -> None:
    """Prints that work is done. A closed output does not undo it: the exit code stays that of the work."""
    try:
        typer.echo(text)
        if sys.stdout is not None:  # None: the output was closed before Python started
            sys.stdout.flush()
    except (OSError, ValueError):
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open until the program ends


def warn(text: str) -> None:
    """Prints on the error output what did not go well after the work was done."""
    with suppress(OSError, ValueError):
        typer.echo(f"⚠️  {text}", err=True)


def answer(document: Any) -> None:
    """Prints the JSON document that a script reads."""
    typer.echo(_json(document))


def report(document: Any) -> None:
    """Prints the JSON document of work that is done: a closed output does not undo it."""
    say(_json(document))


def _json(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2, default=str)


def confirm(question: str, *, yes: bool, as_json: bool = False, refused: str = "rien n'a été changé") -> None:
    """Ends the command unless the operator answers yes, or gave `--yes`; with --json the question is no output.

    `refused` is what the command then says of its work so far.
    """
    if not yes and not _agreed(question, err=as_json):
        raise stop(refused)


def _agreed(question: str, *, err: bool) -> bool:
    """Asks until the answer is yes or no, in French or in English; Enter alone is no."""
    while True:
        said = ask(f"{question} [o/N]", err=err, end=" ", default="").strip().casefold()
        if said in ANSWERS:
            return ANSWERS[said]
        typer.echo("Répondez o (oui) ou n (non).", err=True)


def ask(question: str, *, hidden: bool = False, err: bool = False, end: str = " : ", default: str | None = None) -> str:
    """What the operator types; without a default, the question comes again until something is typed.

    Without a terminal nothing is shown that could be hidden, and the library would warn of that in English.
    """
    unseen = hidden and _has_terminal()
    return str(typer.prompt(question, default, unseen, prompt_suffix=end, show_default=False, err=err))


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return sys.stdin.isatty()
    return True


def ask_new_password() -> str:
    """A new password, typed twice and never shown."""
    while True:
        first = ask("Mot de passe", hidden=True)
        if ask("Encore une fois", hidden=True) == first:
            return first
        typer.echo("Les deux mots de passe diffèrent : recommencez.", err=True)


def confirm_typed(what: str, word: str, *, yes: bool, as_json: bool = False) -> None:
    """Ends the command unless the operator types the word in full, or gave `--yes`: for what empties or forgets."""
    if yes:
        return
    said = ask(f"Pour confirmer, tapez {what} ({word})", err=as_json).strip()
    if said != word:
        raise stop(f"« {said} » n'est pas {what} : rien n'a été changé")


def row_named(resource: str, key: str) -> str:
    """A row as people name it: `véhicule 920`, `événement fete`, `membre m1`."""
    from retrobus.model.resources import BY_NAME

    return f"{BY_NAME[resource].singular} {key}"


def counted(counts: Mapping[str, int]) -> str:
    """How many rows of each resource, as `3 véhicules, 2 membres`; a name of no resource counts deletions."""
    from retrobus.model.resources import ALL

    words = {name: resource.singular for resource in ALL for name in (resource.name, resource.plural)}
    return ", ".join(plural(count, words.get(name, "suppression")) for name, count in counts.items())


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar for each table on a terminal, nothing elsewhere."""
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    with Bars(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            if done % 100 == 0 or done == total:
                bars.update(tasks[name], completed=done)

        yield tell
