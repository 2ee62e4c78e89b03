"""Turns the errors of an input model into French sentences, field by field, under the names that the client sent."""

from pydantic import ValidationError

from retrobus.model import patterns
from retrobus.words import grouped, plural

FORMS = {
    patterns.TIME: "heure attendue, de 00:00 à 23:59, comme 14:30",
    patterns.EVENT_ID: "lettres sans accent, chiffres et . _ ~ - seulement, comme sortie-2026",
    patterns.NO_SLASH: "sans « / », comme 920",
}
"""What each pattern of a text asks for, in words: a client gets these in place of the regular expression."""

SENTENCES = {
    "value_error": "{error}",
    "missing": "ce champ est obligatoire",
    "string_type": "texte attendu",
    "bool_type": "true ou false attendu",
    "string_too_short": "au moins {min_length}",
    "string_too_long": "au plus {max_length}",
    "string_pattern_mismatch": "{pattern}",
    "literal_error": "valeurs possibles : {expected}",
    "greater_than_equal": "au moins {ge}",
    "less_than_equal": "au plus {le}",
}


def field_errors(error: ValidationError) -> list[tuple[str, str]]:
    """Each refused field by its JSON name, with its first error; the sentence never quotes the value.

    An error that has no sentence here is told without its reason: pydantic's own words are English.
    """
    found: dict[str, str] = {}
    for item in error.errors(include_input=False, include_url=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        context = {key: _in_words(key, value) for key, value in item.get("ctx", {}).items()}
        found.setdefault(name, SENTENCES.get(item["type"], "valeur refusée").format(**context))
    return list(found.items())


def _in_words(key: str, value: object) -> str:
    """One detail of an error as a person reads it: `200 caractères`, `1 000 000`, `DRAFT, PUBLISHED, ARCHIVED`."""
    if key in {"min_length", "max_length"}:
        return plural(int(str(value)), "caractère")
    if key in {"ge", "le"}:
        return grouped(int(float(str(value))))  # every limit is whole, but pydantic tells that of a float as 100.0
    if key == "pattern":
        return FORMS[str(value)]
    return str(value).replace("' or '", "', '").replace("'", "") if key == "expected" else str(value)
