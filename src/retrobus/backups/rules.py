"""What a restore is asked to do, and the words of `--include-deleted` that take a deletion back."""

import shlex
from dataclasses import dataclass
from typing import NamedTuple

from retrobus.model.resources import ALL, BY_NAME, Resource

BATCH = "batch"
PREFIXES = {name.lower(): name for name in BY_NAME}


class Included(NamedTuple):
    """One `--include-deleted`: the deletions of a key, of a key of one resource, or of one transaction (a batch)."""

    said: str
    resource: str | None = None
    key: str | None = None
    batch: int | None = None

    def names(self, resource: str, key: str, batch: int) -> bool:
        """Whether the option takes this deletion back."""
        if self.batch is not None:
            return self.batch == batch
        return self.key == key and self.resource in {None, resource}


@dataclass(frozen=True, slots=True)
class Rules:
    """`replace`: rows that differ are replaced and rows that the backup does not have are deleted.

    `scope` are the names of the resources that are restored, `included` the deletions that are taken back.
    """

    replace: bool = False
    scope: tuple[str, ...] = tuple(BY_NAME)
    included: tuple[Included, ...] = ()

    @property
    def resources(self) -> tuple[Resource, ...]:
        """The resources of the scope, in the order in which their rows are written."""
        return tuple(resource for resource in ALL if resource.name in self.scope)

    def take_back(self, resource: str, key: str, batch: int) -> bool:
        """Whether an option names this deletion."""
        return any(included.names(resource, key, batch) for included in self.included)


def read_included(text: str) -> Included:
    """The option as it was typed: `KEY`, `vehicle:KEY` or `batch:N`; ValueError if N is no number."""
    prefix, colon, rest = text.partition(":")
    if colon and prefix == BATCH:
        if not (rest.isdecimal() and len(rest) < 19):
            raise ValueError("--include-deleted batch:N attend un nombre")
        return Included(text, batch=int(rest))
    if colon and prefix in PREFIXES:
        return Included(text, PREFIXES[prefix], rest)
    return Included(text, key=text)


def option_of(resource: str, key: str, *, shared: bool) -> str:
    """The option that brings this row back and no other; `shared` if a row of another resource had the same key.

    For example `--include-deleted e1`, `--include-deleted 'Bus 920'`, `--include-deleted vehicle:batch:7`.
    """
    plain = not shared and not key.startswith("-") and key.partition(":")[0] not in {BATCH, *PREFIXES}
    return f"--include-deleted {shlex.quote(key if plain else f'{resource.lower()}:{key}')}"
