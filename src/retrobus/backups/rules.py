"""What a restore is asked to do, and the words of `--include-deleted` that name a deletion to take back."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from retrobus.model.tables import RESOURCES

BATCH = "batch"
PREFIXES = {resource.lower(): resource for resource in RESOURCES}


@dataclass(frozen=True, slots=True)
class Deletions:
    """The deletions that an operator takes back: by the key of their row, by resource and key, by transaction."""

    keys: tuple[str, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    batches: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """What a restore is asked to do."""

    replace: bool = False
    scope: tuple[str, ...] = tuple(RESOURCES)
    keys: tuple[str, ...] = ()
    batches: tuple[int, ...] = ()
    rows: tuple[tuple[str, str], ...] = ()
    """Deletions that do not count, as in `Deletions`."""

    def keys_of(self, resource: str) -> list[str]:
        """Every key whose deletion in this resource is taken back by name."""
        return [*self.keys, *(key for named, key in self.rows if named == resource)]


def read_deletions(texts: Iterable[str]) -> Deletions:
    """What was given as KEY, `vehicle:KEY` or `batch:N`; ValueError if N is no number."""
    keys, rows, batches = [], [], []
    for text in texts:
        prefix, colon, rest = text.partition(":")
        if colon and prefix == BATCH:
            if not (rest.isdecimal() and len(rest) < 19):
                raise ValueError("--include-deleted batch:N attend un nombre")
            batches.append(int(rest))
        elif colon and prefix in PREFIXES:
            rows.append((PREFIXES[prefix], rest))
        else:
            keys.append(text)
    return Deletions(tuple(keys), tuple(rows), tuple(batches))


def option_of(resource: str, key: str, *, shared: bool) -> str:
    """What to add to the command for this row and no other; `shared` if a row of another resource had the same key.

    For example `--include-deleted e1`, `--include-deleted 'Bus 920'`, `--include-deleted vehicle:batch:7`.
    """
    plain = not shared and not key.startswith("-") and key.partition(":")[0] not in {BATCH, *PREFIXES}
    return f"--include-deleted {shlex.quote(key if plain else f'{resource.lower()}:{key}')}"
