"""Decides what a restore does with each row, from the facts of both sides alone.

For example, with `--replace`: m1 has the e-mail a@ here and b@ in the backup, m2 the other way round. Both are
`update`: each gives up the value that the other needs. If m2 does not fit, it stays as it is and keeps b@: then m1 is a
`reject`, stays as well, and keeps a@ from a third row that asks for it.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Literal, get_args

from retrobus.backups.facts import Facts, differing, says, uniques
from retrobus.backups.rules import Rules
from retrobus.model.names import camel
from retrobus.model.resources import Resource

Verdict = Literal["insert", "update", "same", "differs", "buried", "reject", "delete"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
WRITTEN = frozenset({"insert", "update"})
RETURNED = "de retour depuis, laissé tel quel"


@dataclass(frozen=True, slots=True)
class Deletion:
    """The deletion that counts for a row: the last one that the backup does not know of."""

    cause: str
    batch: int
    deleted_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one row.

    `columns` are those with other values here. `reason` says why the row is rejected, or why no option brings a buried
    one back. `erased`: the row is of a member who was erased; nothing brings it back. `recreated`: the row was deleted
    since, and a row of its key is here again. An `insert` with a `deletion` brings back a row that was deleted since,
    because the operator named it.
    """

    verdict: Verdict
    columns: tuple[str, ...] = ()
    reason: str | None = None
    deletion: Deletion | None = None
    erased: bool = False
    recreated: bool = False


Refusal = Callable[[str, tuple[str, ...] | None], str | None]


@dataclass(frozen=True, slots=True)
class Sides:
    """What the tables (here) and the backup (there) know of one resource, by key.

    `refused` are the keys of rows of the backup that do not fit. `deleted` are the counting deletions of rows of the
    backup, `erased` the keys of members who were erased. `refusal` says from a row's key and the columns that differ
    (None: the row is not here) why it may not be written. `names` are what the backup calls columns.
    """

    resource: Resource
    here: Mapping[str, Facts]
    there: Mapping[str, Facts]
    refused: AbstractSet[str] = frozenset()
    deleted: Mapping[str, Deletion] = field(default_factory=dict)
    erased: AbstractSet[str] = frozenset()
    refusal: Refusal | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def verdicts(sides: Sides, rules: Rules) -> dict[str, Outcome]:
    """The outcome for every row of the backup, and for every row here that `--replace` deletes."""
    found = {key: verdict(sides, key, rules) for key in sides.there}
    if rules.replaces_all:
        found |= {key: Outcome("delete") for key in sides.here if key not in sides.there and key not in sides.refused}
    holders = _holders(sides)
    _reject_taken(sides, found, holders)
    for key, outcome in found.items():
        if outcome.verdict == "buried":
            returned = RETURNED if outcome.recreated and not rules.replace else None
            found[key] = replace(outcome, reason=returned or _taken(sides, found, holders, key))
    return found


def verdict(sides: Sides, key: str, rules: Rules) -> Outcome:
    """The outcome for one row of the backup, before its unique values are looked at."""
    here = sides.here.get(key)
    columns = () if here is None else differing(sides.resource, here, sides.there[key])
    if here is not None and not columns:
        return _plain("same")
    deletion, erased = sides.deleted.get(key), key in sides.erased
    if erased or (deletion is not None and not rules.take_back(sides.resource.name, key, deletion.batch)):
        return Outcome("buried", deletion=deletion, erased=erased, recreated=here is not None)
    if sides.refusal and (here is None or rules.replace):
        reason = sides.refusal(key, None if here is None else columns)
        if reason is not None:
            return Outcome("reject", reason=reason)
    if here is None:
        return _plain("insert") if deletion is None else Outcome("insert", deletion=deletion)
    return _plain("update" if rules.replace else "differs", columns)


@lru_cache(maxsize=4096)
def _plain(verdict: Verdict, columns: tuple[str, ...] = ()) -> Outcome:
    """One object for all rows with the same outcome, so that a hundred thousand of them take no memory."""
    return Outcome(verdict, columns)


Holders = Mapping[tuple[str, str | None], str]
"""The key of the row here that has a value in a unique column."""


def _holders(sides: Sides) -> Holders:
    columns = uniques(sides.resource)
    return {
        (unique.column, value): key
        for key, facts in (sides.here.items() if columns else ())
        for unique, value in zip(columns, facts.unique, strict=True)
        if value is not None
    }


def _reject_taken(sides: Sides, found: dict[str, Outcome], holders: Holders) -> None:
    """Rejects rows whose unique values are taken, until no reject makes another row keep its value."""
    again = bool(holders)
    while again:
        again = False
        for key, outcome in found.items():
            reason = _taken(sides, found, holders, key) if outcome.verdict in WRITTEN else None
            if reason is not None:
                found[key], again = Outcome("reject", reason=reason), True


def _taken(sides: Sides, found: Mapping[str, Outcome], holders: Holders, key: str) -> str | None:
    """Why the row cannot have its unique values: another row here keeps one of them."""
    for unique, value in zip(uniques(sides.resource), sides.there[key].unique, strict=True):
        holder = holders.get((unique.column, value), key)
        if holder != key and _keeps(sides, found, holder, unique.column):
            return f"{sides.names.get(unique.column, camel(unique.column))} : déjà pris ici par {holder}"
    return None


def _keeps(sides: Sides, found: Mapping[str, Outcome], holder: str, column: str) -> bool:
    """Whether a row here has its value in this column still after the restore."""
    outcome = found.get(holder)
    if outcome is None or outcome.verdict not in {"update", "delete"}:
        return True
    return outcome.verdict == "update" and column in sides.there[holder].missing


def renumbered(sides: Sides, found: Mapping[str, Outcome]) -> list[str]:
    """The inserted rows whose number is unknown or taken: by a row that stays here, or by an insert before them."""
    inserted = sorted(key for key, outcome in found.items() if outcome.verdict == "insert")
    taken = {facts.number for key, facts in sides.here.items() if key not in found or found[key].verdict != "delete"}
    again = []
    for key in inserted:
        number = sides.there[key].number
        again += [key] if number is None or number in taken else []
        taken.add(number)
    return again


def keeps_one(sides: Sides, found: Mapping[str, Outcome]) -> bool:
    """Whether a row with the values of `resource.keep_one` is there after the restore: an active ADMIN."""
    return any(_is_one(sides, key, found.get(key, _plain("same"))) for key in sides.here.keys() | found.keys())


def _is_one(sides: Sides, key: str, outcome: Outcome) -> bool:
    here = None if outcome.verdict == "delete" else sides.here.get(key)
    there = sides.there[key] if outcome.verdict in WRITTEN else None
    for column, value in sides.resource.keep_one.items():
        stays = there is None or (here is not None and column in there.missing)
        facts = here if stays else there
        if facts is None or not says(sides.resource, facts, column, value):
            return False
    return True
