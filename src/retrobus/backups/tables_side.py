"""The tables' side of a restore: the facts of their rows, the deletions since the backup, the erased members."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field

from retrobus.backups.backup_side import Place, There
from retrobus.backups.create import prefetch
from retrobus.backups.facts import Facts, facts_of, uniques
from retrobus.backups.intake import Tombstone
from retrobus.backups.rules import Rules
from retrobus.backups.verdicts import Deletion
from retrobus.database.connection import AnyConnection
from retrobus.database.sql import select
from retrobus.model.resources import MEMBER, Resource

DECIDED = frozenset({"api", "sql", "erase"})
"""Causes of deletions that were decided row by row. A restore may bring back what `db clean` or a restore removed."""

TABLES = ("vehicle", "event", "member", "deletion", "erasure")
MARK = " UNION ALL ".join(
    f"SELECT '{table}' AS name, count(*) AS rows, sum(xmin::text::bigint) AS writers FROM {table}" for table in TABLES
)
"""Changes with every insert, update and delete, triggers or not: `xmin` is the transaction that wrote a row."""

Mark = frozenset[tuple[str, int, int | None]]
DELETIONS = "SELECT resource, key, version, cause, batch, deleted_at FROM deletion ORDER BY version"
ERASED_NAMES = """SELECT name FROM unnest($1::text[]) AS n (name)
WHERE EXISTS (SELECT FROM erasure) AND retrobus_is_erased(name, NULL, NULL, NULL)"""
ERASED_MEMBERS = """SELECT id FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
  AS m (id, email, matricule, member_number)
WHERE EXISTS (SELECT FROM erasure) AND retrobus_is_erased(id, email, matricule, member_number)"""
"""The members are given column by column: their ids, then their unique values in the order of `uniques`."""


@dataclass(slots=True)
class Since:
    """The deletions of this database, compared with those that the backup knows.

    `learned`: the deletions that only the backup knows. `counting`: for each row of the backup, the last decided
    deletion that the backup does not know. `erased`: the rows whose member was erased by such a deletion. `shared`: for
    a key that rows of two resources have or had, the resources whose row was deleted. `taken_back`: the options that
    name any deletion of this database.
    """

    learned: dict[Place, Tombstone]
    counting: dict[tuple[str, str], Deletion] = field(default_factory=dict)
    erased: set[tuple[str, str]] = field(default_factory=set)
    shared: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    taken_back: set[str] = field(default_factory=set)


async def mark_of(connection: AnyConnection) -> Mark:
    """A mark of the tables: if it is the same at two moments, none of them changed in between."""
    return frozenset(tuple(row) for row in await connection.fetch(MARK))


async def rows_of(connection: AnyConnection, resource: Resource) -> AsyncIterator[tuple[str, Facts]]:
    """Key and facts of each row here."""
    async for row in connection.cursor(select(resource), prefetch=prefetch(resource)):
        yield row[resource.key], facts_of(resource, row)


async def deletions_since(connection: AnyConnection, there: There, rules: Rules, erased: set[str]) -> Since:
    """Reads all deletions in their order. The backup's own tombstones of `erased` members do not count.

    For example: e1 was deleted in batch 10, brought back, and deleted again in batch 12. For a backup from before all
    that, batch 12 counts. For a row of a spreadsheet, only a deletion later than the row's version there counts.
    """
    ignored = {(MEMBER.name, name) for name in erased}
    known = {place: found for place, found in there.tombstones.items() if place[:2] not in ignored}
    since = Since(dict(known))
    versions = there.sheet.versions if there.sheet else {}
    async for row in connection.cursor(DELETIONS, prefetch=1000):
        resource, key, batch, cause = row["resource"], row["key"], row["batch"], row["cause"]
        if cause in DECIDED - {"erase"}:
            since.taken_back |= {option.said for option in rules.included if option.names(resource, key, batch)}
        if any(key in rows for other, rows in there.rows.items() if other != resource):
            since.shared[key].add(resource)
        if (resource, key, batch, row["deleted_at"]) in known:
            since.learned.pop((resource, key, batch, row["deleted_at"]), None)
        elif cause in DECIDED and key in there.rows.get(resource, ()) and row["version"] > versions.get(key, 0):
            since.counting[resource, key] = Deletion(cause, batch, row["deleted_at"])
            since.erased |= {(resource, key)} if cause == "erase" else set()
    return since


async def erased_names(connection: AnyConnection, names: Iterable[str]) -> set[str]:
    """The ids among these of members who were erased."""
    return {row["name"] for row in await connection.fetch(ERASED_NAMES, list(names))}


async def erased_members(connection: AnyConnection, members: Mapping[str, Facts]) -> set[str]:
    """The keys of members who were erased, under whatever id: their e-mail, matricule or number tells it too."""
    values = [[facts.unique[place] for facts in members.values()] for place in range(len(uniques(MEMBER)))]
    return {row["id"] for row in await connection.fetch(ERASED_MEMBERS, list(members), *values)}
