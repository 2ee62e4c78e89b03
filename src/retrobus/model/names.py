"""The two spellings of a name: `mise_en_circulation` in the database, `miseEnCirculation` in JSON."""

import re


def camel(name: str) -> str:
    """The JSON name of a column."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def snake(name: str) -> str:
    """The column of a JSON name."""
    return re.sub(r"[A-Z]", lambda letter: "_" + letter.group().lower(), name)
