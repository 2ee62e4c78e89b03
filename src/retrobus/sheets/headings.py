"""Finds the column that each heading of a file means: by its French label or its JSON name, however it is typed."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from unicodedata import combining, normalize

from retrobus.model.resources import Resource
from retrobus.sheets.columns import column_named, columns_of
from retrobus.sheets.grids import BadSheet


@dataclass(slots=True)
class Headings:
    """What the headings of a file mean. `places` has the column's name by the place of its cells in a row.

    `said` has the heading by column, for messages. `unknown` are headings that name no column, each with the label
    that it resembles.
    """

    places: dict[int, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    unknown: dict[str, str | None] = field(default_factory=dict)


IMAGES_LEFT_OUT = frozenset({"hasGallery", "hasBackgroundImage"})
"""Names that lists have in place of images: they say nothing of the image itself."""


def score(resource: Resource, headings: Iterable[str]) -> int:
    """How many of these are headings of the resource."""
    return sum(column_named(resource, heading) is not None for heading in headings)


def matched(resource: Resource, header: list[str]) -> Headings:
    """The columns of a header; BadSheet if two headings name one column."""
    found = Headings()
    for place, heading in enumerate(said.strip() for said in header):
        known = column_named(resource, heading)
        if known is not None and known.column.name in found.said:
            first = found.said[known.column.name]
            raise BadSheet(f"« {first} » et « {heading} » sont la même colonne : gardez-en une")
        if known is not None:
            found.places[place], found.said[known.column.name] = known.column.name, heading
        elif heading and heading not in IMAGES_LEFT_OUT:
            found.unknown[heading] = _alike(resource, heading)
    return found


def _alike(resource: Resource, heading: str) -> str | None:
    """The header that an unknown heading resembles, for example « Téléphone » for « Telephonne »."""
    headers = {_plain(one.header): one.header for one in columns_of(resource)}
    close = difflib.get_close_matches(_plain(heading), list(headers), n=1, cutoff=0.75)
    return headers[close[0]] if close else None


def _plain(heading: str) -> str:
    return "".join(sign for sign in normalize("NFKD", heading).casefold() if not combining(sign))
