"""What a restore is asked to do, and the words of `--include-deleted` and `--only` that name rows."""

import shlex
from collections.abc import Sequence
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


class Only(NamedTuple):
    """One `--only`: a row that the operator names; a restore with it touches no row that none of them names."""

    said: str
    resource: str
    key: str


@dataclass(frozen=True, slots=True)
class Rules:
    """`replace`: rows that differ are replaced and, without `only`, rows that the backup does not have are deleted.

    `partial`: the source is a list of some rows, as a spreadsheet is: rows that it does not have stay.
    `scope` are the names of the resources that are restored, `included` the deletions that are taken back. `only` are
    the rows that are restored, all of the scope if it is empty; they come back even if they were deleted since.
    """

    replace: bool = False
    scope: tuple[str, ...] = tuple(BY_NAME)
    included: tuple[Included, ...] = ()
    only: tuple[Only, ...] = ()
    partial: bool = False

    @property
    def resources(self) -> tuple[Resource, ...]:
        """The resources of the scope, in the order in which their rows are written."""
        return tuple(resource for resource in ALL if resource.name in self.scope)

    @property
    def replaces_all(self) -> bool:
        """Whether the database becomes what the backup holds: rows in excess go, and the identity is another one."""
        return self.replace and not self.only and not self.partial

    def wants(self, resource: str, key: str) -> bool:
        """Whether a row of the backup is to be restored."""
        return resource in self.scope and (not self.only or self.names(resource, key))

    def names(self, resource: str, key: str) -> bool:
        """Whether an `--only` names this row."""
        return any((row.resource, row.key) == (resource, key) for row in self.only)

    def take_back(self, resource: str, key: str, batch: int) -> bool:
        """Whether an option names this deletion, or the row itself."""
        return self.names(resource, key) or any(included.names(resource, key, batch) for included in self.included)


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


def only_these(texts: Sequence[str], *, replace: bool) -> Rules:
    """The rules for rows given as `vehicle:920`; ValueError if a text is anything else."""
    only = []
    for text in texts:
        prefix, _, key = text.partition(":")
        if prefix.lower() not in PREFIXES or not key:
            expected = ", ".join(f"{name}:CLÉ" for name in PREFIXES)
            raise ValueError(f"--only {text} : {expected} attendu, par exemple --only vehicle:920")
        only.append(Only(text, PREFIXES[prefix.lower()], key))
    named = {row.resource for row in only}
    return Rules(replace, tuple(name for name in BY_NAME if name in named), only=tuple(only))


def option_of(resource: str, key: str, *, shared: bool) -> str:
    """The option that brings this row back and no other; `shared` if a row of another resource had the same key.

    For example `--include-deleted e1`, `--include-deleted 'Bus 920'`, `--include-deleted vehicle:batch:7`.
    """
    plain = not shared and not key.startswith("-") and key.partition(":")[0] not in {BATCH, *PREFIXES}
    return f"--include-deleted {shlex.quote(key if plain else f'{resource.lower()}:{key}')}"
