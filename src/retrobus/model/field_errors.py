"""Turns the errors of an input model into French sentences, field by field, under the names that the client sent."""

from pydantic import ValidationError

SENTENCES = {
    "missing": "ce champ est obligatoire",
    "string_type": "texte attendu",
    "bool_type": "true ou false attendu",
    "string_too_short": "au moins {min_length} caractère(s)",
    "string_too_long": "au plus {max_length} caractères",
    "string_pattern_mismatch": "format refusé : {pattern}",
    "literal_error": "valeurs possibles : {expected}",
    "greater_than_equal": "au moins {ge}",
    "less_than_equal": "au plus {le}",
}


def field_errors(error: ValidationError) -> list[tuple[str, str]]:
    """Each refused field by its JSON name, with its first error; the sentence never quotes the value."""
    found: dict[str, str] = {}
    for item in error.errors(include_input=False, include_url=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        text = SENTENCES.get(item["type"])
        context = {key: str(value).replace(" or ", ", ") for key, value in item.get("ctx", {}).items()}
        found.setdefault(name, text.format(**context) if text else item["msg"].removeprefix("Value error, "))
    return list(found.items())
