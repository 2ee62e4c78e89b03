"""What is wrong with the settings, in sentences for the operator that never quote a value."""

import os
from collections.abc import Iterator
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_settings import DotEnvSettingsSource

from retrobus.settings import Settings
from retrobus.settings.env_files import UnreadableFile, env_files

ALIKE = 0.85
"""How alike a name must be to a variable's (1 is the same) for us to say that this variable was meant."""

SHORTEST_NAME = 8
"""Letters below which names of other programs (PGPORT, HOSTNAME) are too often alike."""

_SENTENCES = {
    "bool_parsing": "true ou false attendu",
    "int_parsing": "nombre entier attendu",
    "float_parsing": "nombre attendu",
    "literal_error": "valeurs possibles : {expected}",
    "greater_than": "plus de {gt}",
    "greater_than_equal": "au moins {ge}",
    "less_than_equal": "au plus {le}",
}


def misspelt() -> list[tuple[str, str]]:
    """Names in the files of settings and in the environment that are nearly a variable's, each with that variable."""
    known = sorted(name.upper() for name in Settings.model_fields)
    found = {name.upper() for name in (*DotEnvSettingsSource(Settings, env_files()).env_vars, *os.environ)} - set(known)
    return list(_meant(sorted(found), known))


def _meant(names: list[str], known: list[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        meant = get_close_matches(name, known, n=1, cutoff=ALIKE) if len(name) >= SHORTEST_NAME else []
        if meant:
            yield name, meant[0]


def complaints(error: ValidationError | UnreadableFile) -> list[str]:
    """One sentence in French per bad variable, without its value."""
    if isinstance(error, UnreadableFile):
        return [str(error)]
    found = error.errors(include_input=False, include_url=False)
    return [f"{str(item['loc'][0]).upper()} : {sentence_for(item['type'], item.get('ctx', {}))}" for item in found]


def sentence_for(kind: str, context: dict[str, object]) -> str:
    """What was expected of a value, from the kind and the details of a pydantic error."""
    if kind == "value_error":
        return str(context["error"])
    words = {n: str(v).removesuffix(".0").replace(" or ", ", ").replace("'", "") for n, v in context.items()}
    return _SENTENCES.get(kind, "valeur refusée").format(**words)
