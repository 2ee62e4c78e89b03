"""What a restore does or would do, counted and row by row, for the operator to read first."""

from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from retrobus.backups.formats import Reading
from retrobus.backups.intake import Reject
from retrobus.backups.rules import Rules, option_of
from retrobus.backups.verdicts import VERDICTS, Outcome
from retrobus.model.wire import moment

LISTED = 1000
"""Rows of one resource and verdict that are named one by one; all are counted."""

Outcomes = Mapping[str, Mapping[str, Outcome]]
"""The outcome of each row, by resource and key."""


@dataclass(frozen=True, slots=True)
class Pair:
    """Both values of one column as an operator reads them, shortened; None stands for no value."""

    here: str | None
    backup: str | None


@dataclass(frozen=True, slots=True)
class DifferingRow:
    """A row that is here and in the backup with other values in these columns; `values` if they are to be shown."""

    resource: str
    key: str
    columns: list[str]
    values: dict[str, Pair] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Buried:
    """A row of the backup that was deleted since.

    `option` brings it back; it is None if the member was erased, or for the reason that `obstacle` gives.
    `recreated`: a row of this key is here again.
    """

    resource: str
    key: str
    cause: str
    batch: int
    deleted_at: str | None
    option: str | None
    obstacle: str | None
    erased: bool
    recreated: bool


@dataclass(frozen=True, slots=True)
class Returned:
    """A row that was deleted since the backup and comes back, because the operator named it."""

    resource: str
    key: str
    cause: str
    batch: int
    deleted_at: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Counts by resource and verdict, and the rows that an operator must see.

    `batches` says how many rows `--include-deleted batch:N` brings back, for every batch of several rows or of rows
    beyond those named in `buried`. `only` are the rows that the operator named; no other row is in the plan then.
    """

    name: str
    shape: str
    timestamp: str | None
    replace: bool
    only: list[str]
    counts: dict[str, dict[str, int]]
    inserts: list[tuple[str, str]]
    differences: list[DifferingRow]
    deletes: list[tuple[str, str]]
    buried: list[Buried]
    batches: dict[int, int]
    returned: list[Returned]
    rejects: list[Reject]
    ignored_tables: dict[str, int]
    warnings: list[str]

    def total(self, *verdicts: str) -> int:
        """Rows of all resources with these verdicts."""
        return sum(counts.get(verdict, 0) for counts in self.counts.values() for verdict in verdicts)

    @property
    def changes(self) -> int:
        """Rows that the restore writes or deletes."""
        return self.total("insert", "update", "delete")

    @property
    def empties(self) -> bool:
        """Whether the backup has no row to give, and rows here would be deleted."""
        return self.total("delete") > 0 and self.total("insert", "update", "same") == 0


def planned(
    reading: Reading, rules: Rules, outcomes: Outcomes, shared: Mapping[str, AbstractSet[str]], warnings: list[str]
) -> Plan:
    """The plan that these outcomes make. `shared`: by key, the resources whose row of this key was ever deleted."""
    return Plan(
        reading.name,
        reading.shape,
        moment(reading.timestamp) if reading.timestamp else None,
        rules.replace,
        [row.said for row in rules.only],
        {name: _counts(found, 0 if rules.only else reading.intake.rejected[name]) for name, found in outcomes.items()},
        [(name, key) for name, key, _ in _listed(outcomes, "insert")],
        [DifferingRow(name, key, list(said.columns)) for name, key, said in _listed(outcomes, "update", "differs")],
        [(name, key) for name, key, _ in _listed(outcomes, "delete")],
        [_buried(*row, shared=bool(shared.get(row[1], set()) - {row[0]})) for row in _listed(outcomes, "buried")],
        _batches(outcomes),
        list(_returned(outcomes)),
        [
            *(reject for reject in reading.intake.rejects if reject.resource in rules.scope and not rules.only),
            *(
                Reject(name, key, reading.position(key), said.reason or "")
                for name, key, said in _listed(outcomes, "reject")
            ),
        ],
        {} if rules.only else reading.foreign,
        [*reading.warnings, *warnings],
    )


def _counts(found: Mapping[str, Outcome], rejected: int) -> dict[str, int]:
    counted = Counter(outcome.verdict for outcome in found.values())
    counted["reject"] += rejected
    return {verdict: counted[verdict] for verdict in VERDICTS}


def _listed(outcomes: Outcomes, *verdicts: str) -> Iterator[tuple[str, str, Outcome]]:
    """The first rows of each resource with these verdicts, in the order of their keys."""
    for name, found in outcomes.items():
        for key in _keys(found, *verdicts)[:LISTED]:
            yield name, key, found[key]


def _keys(found: Mapping[str, Outcome], *verdicts: str) -> list[str]:
    return sorted(key for key, outcome in found.items() if outcome.verdict in verdicts)


def _buried(resource: str, key: str, found: Outcome, *, shared: bool) -> Buried:
    deletion, lasting = found.deletion, found.erased or found.reason is not None
    return Buried(
        resource,
        key,
        deletion.cause if deletion else "erase",
        deletion.batch if deletion else 0,
        moment(deletion.deleted_at) if deletion else None,
        None if lasting else option_of(resource, key, shared=shared),
        None if found.erased else found.reason,
        found.erased,
        found.recreated,
    )


def _returned(outcomes: Outcomes) -> Iterator[Returned]:
    """The first rows of each resource that come back although they were deleted since."""
    for name, found in outcomes.items():
        again = sorted(key for key, said in found.items() if said.verdict == "insert" and said.deletion)
        for key in again[:LISTED]:
            if deletion := found[key].deletion:
                yield Returned(name, key, deletion.cause, deletion.batch, moment(deletion.deleted_at))


def _batches(outcomes: Outcomes) -> dict[int, int]:
    """How many rows each batch brings back, of the whole backup."""
    counted: Counter[int] = Counter()
    unnamed: set[int] = set()
    for found in outcomes.values():
        for place, key in enumerate(_keys(found, "buried")):
            deletion = found[key].deletion
            if deletion is not None and not found[key].erased and found[key].reason is None:
                counted[deletion.batch] += 1
                unnamed |= {deletion.batch} if place >= LISTED else set()
    return {batch: count for batch, count in sorted(counted.items()) if count > 1 or batch in unnamed}
