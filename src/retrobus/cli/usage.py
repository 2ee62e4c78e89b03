"""Command line errors and help in French: typer, the library that reads the command line, speaks English only."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import typer
from pydantic import ValidationError
from typer.core import TyperCommand, TyperGroup

from retrobus.settings.complaints import sentence_for

if TYPE_CHECKING:
    from collections.abc import Callable

SENTENCES = (
    (r"Missing option '(.*?)' \(env var: '(.*)'\)\.", r"il manque l'option {0} (ou la variable {1})"),
    (r"Missing option '(.*?)'.*", r"il manque l'option {0}"),
    (r"Missing argument '(.*?)'.*", r"il manque l'argument {0}"),
    (r"Missing command\.", "il manque une commande"),
    (r"No such command '(.*)'\. Did you mean (.*)\?", r"commande inconnue : {0} ; voulez-vous dire {1} ?"),
    (r"No such command '(.*)'\.", r"commande inconnue : {0}"),
    (r"No such option: (.*) \(Possible options: (.*)\)", r"option inconnue : {0} ; voulez-vous dire {1} ?"),
    (r"No such option: (.*)", r"option inconnue : {0}"),
    (r"Option '(.*)' requires an argument\.", r"l'option {0} attend une valeur"),
    (r"Option '(.*)' does not take a value\.", r"l'option {0} n'attend pas de valeur"),
    (r"Got unexpected extra argument\(s\) \((.*)\)", r"en trop : {0}"),
    (r".* is not one of (.*)\.", r"valeurs possibles : {0}"),
)
"""What typer says, and the same in French; a test fails if a new version of typer brings English back."""

VALUES = {"int": "NOMBRE", "str": "TEXTE", "Path": "CHEMIN"}
"""What the help shows as the value of an option, by the type of its parameter."""


def told(error: typer.TyperException) -> str:
    """What is wrong with the command line, and the command whose help shows the right form."""
    context = getattr(error, "ctx", None)
    command = "retrobus" if context is None else context.command_path
    return f"{command} : {_what(error)}\n   Aide : {command} --help"


def _what(error: typer.TyperException) -> str:
    reason = error.__cause__
    if isinstance(error, typer.BadParameter) and error.param is not None and isinstance(reason, ValidationError):
        first = reason.errors(include_url=False, include_input=False)[0]
        name = error.param.get_error_hint().replace("'", "")
        return f"{name} : {_in_french(sentence_for(first['type'], first.get('ctx', {})))}"
    return _in_french(error.format_message())


def _in_french(text: str) -> str:
    for pattern, sentence in SENTENCES:
        found = re.fullmatch(pattern, text, re.DOTALL)
        if found:
            return sentence.format(*(group.replace("'", "") for group in found.groups()))
    return text


class _InFrench:
    """What command and group have in common: their help has no English word."""

    def get_help_option(self, ctx: Any) -> Any:
        """The option --help."""
        found = super().get_help_option(ctx)  # type: ignore[misc]  # TyperCommand or TyperGroup is beside this class
        if found is not None:
            found.help = "Affiche cette aide."
        return found

    def get_params(self, ctx: Any) -> list[Any]:
        """The parameters; the help shows the kind of an option's value instead of the name of a Python type."""
        found: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in found:
            if parameter.metavar is None and parameter.param_type_name == "option":
                kind = parameter.bare_type().removeprefix("list[").removesuffix("]")
                parameter.metavar = "" if parameter.is_flag else VALUES.get(kind)
            elif parameter.param_type_name == "argument":
                parameter.display_type = lambda _: ""
        return found

    def get_usage(self, ctx: Any) -> str:
        """The line that shows the form of the command."""
        usage: str = super().get_usage(ctx)  # type: ignore[misc]
        return usage.replace("Usage: ", "Usage : ", 1)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Prints the help."""
        from typer import rich_utils

        rich_utils.COMMANDS_PANEL_TITLE = "Commandes"
        rich_utils.REQUIRED_LONG_STRING = "[obligatoire]"
        rich_utils.DEFAULT_STRING = "[défaut : {}]"
        rich_utils.ENVVAR_STRING = "[variable : {}]"
        super().format_help(ctx, formatter)  # type: ignore[misc]


class FrenchCommand(_InFrench, TyperCommand):
    """One command."""


class FrenchGroup(_InFrench, TyperGroup):
    """A group of commands."""


class Program(typer.Typer):
    """A group of commands whose help and errors are French."""

    def __init__(self, **options: Any) -> None:
        super().__init__(cls=FrenchGroup, subcommand_metavar="COMMANDE [ARGUMENTS]…", no_args_is_help=True, **options)

    def command(self, name: str | None = None, **options: Any) -> Callable[[Any], Any]:
        """Adds a command."""
        return super().command(name, cls=FrenchCommand, **options)
