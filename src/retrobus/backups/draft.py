"""Works out what a restore would do: the outcome of every row, and the plan that the operator reads first."""

import shlex
from collections import defaultdict
from dataclasses import dataclass, field, replace

from retrobus.backups import BadBackup, tables_side
from retrobus.backups.backup_side import There
from retrobus.backups.facts import differing, without_lost
from retrobus.backups.intake import Tombstone
from retrobus.backups.plan import Plan, planned
from retrobus.backups.rules import Rules
from retrobus.backups.sheet_side import obstacles
from retrobus.backups.tables_side import DECIDED, Mark, Since
from retrobus.backups.verdicts import Outcome, Sides, keeps_one, renumbered, verdicts
from retrobus.database.connection import AnyConnection
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.words import plural


@dataclass(slots=True, repr=False)
class Draft:
    """What a restore would do to the tables that `mark` describes.

    By resource: `outcomes` of rows by key, `before` how many rows it has here, `lost` the values of its reference that
    become null because their row will not be here. `vehicles` are the parcs that will be here, `renumbered` those that
    need a new number. `erased` are the ids of erased members that the backup names. `learned` are deletions that only
    the backup knows and that this database must keep. `headless`: no active ADMIN will be here.
    """

    there: There
    rules: Rules
    mark: Mark
    erased: set[str]
    vehicles: set[str]
    outcomes: dict[str, dict[str, Outcome]] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    lost: dict[str, set[str]] = field(default_factory=dict)
    renumbered: list[str] = field(default_factory=list)
    learned: list[Tombstone] = field(default_factory=list)
    headless: bool = False
    plan: Plan = field(init=False)

    def keys(self, resource: Resource, verdict: str) -> list[str]:
        """The rows with this verdict."""
        return [key for key, said in self.outcomes.get(resource.name, {}).items() if said.verdict == verdict]


async def drafted(connection: AnyConnection, there: There, rules: Rules) -> Draft:
    """The draft for the tables as one transaction sees them; BadBackup if an option names no deletion at all."""
    erased = await tables_side.erased_names(connection, _names(there))
    since = await tables_side.deletions_since(connection, there, rules, erased)
    unknown = [option.said for option in rules.included if option.said not in since.taken_back]
    if unknown:
        raise BadBackup(f"Aucune suppression à annuler pour --include-deleted {', '.join(unknown)}.")
    vehicles = {row["parc"] for row in await connection.fetch("SELECT parc FROM vehicle")}
    draft = Draft(there, rules, await tables_side.mark_of(connection), erased, vehicles)
    for resource in rules.resources:
        _judge(draft, since, await _sides(connection, draft, since, resource))
    warnings = [*_idle(draft, since), *await _warnings(connection, draft)]
    draft.plan = planned(there.reading, rules, draft.outcomes, since.shared, warnings)
    return draft


def _names(there: There) -> set[str]:
    """The ids of all members who created a member, changed or deleted a row or were deleted, as the backup tells."""
    tombstones = there.tombstones.values()
    names = {facts.reference for facts in there.rows[MEMBER.name].values()} | {found.actor for found in tombstones}
    names |= there.authors | {found.key for found in tombstones if found.resource == MEMBER.name}
    return {name for name in names if name is not None}


async def _sides(connection: AnyConnection, draft: Draft, since: Since, resource: Resource) -> Sides:
    """What both sides know of one resource."""
    name, there = resource.name, draft.there.rows[resource.name]
    references = {facts.reference for facts in there.values() if facts.reference is not None}
    if draft.there.sheet:
        references = set()  # a vehicle that is not here is a reason to refuse the row
    lost = draft.lost[name] = references - draft.vehicles if resource is EVENT else references & draft.erased
    if lost:
        there = {key: without_lost(resource, facts, lost) for key, facts in there.items()}
    found = {key: facts async for key, facts in tables_side.rows_of(connection, resource)}
    refused = {key for refused, key in draft.there.reading.intake.refused if refused == name}
    counting = {key: deletion for (deleted, key), deletion in since.counting.items() if deleted == name}
    erased = {key for erased, key in since.erased if erased == name}
    if resource is MEMBER:
        others = {key: row for key, row in there.items() if key not in found or differing(resource, found[key], row)}
        erased |= await tables_side.erased_members(connection, others)
    sheet = draft.there.sheet
    sides = Sides(resource, found, there, refused, counting, erased)
    if sheet is None:
        return sides
    found_here = await obstacles(connection, sheet, draft.vehicles, draft.rules)
    return replace(sides, refusal=found_here.refusal, names={name: f"« {said} »" for name, said in sheet.names.items()})


def _judge(draft: Draft, since: Since, sides: Sides) -> None:
    """Gives every row of one resource its outcome, after which the facts of its rows here are not needed."""
    name = sides.resource.name
    outcomes = draft.outcomes[name] = verdicts(sides, draft.rules)
    draft.before[name] = len(sides.here)
    draft.learned += [
        replace(found, actor=None if found.actor in draft.erased else found.actor)
        for found in since.learned.values()
        if found.resource == name and found.cause in DECIDED and found.key not in sides.here
    ]
    if sides.resource is VEHICLE:
        draft.renumbered = renumbered(sides, outcomes)
        draft.vehicles = draft.vehicles.difference(draft.keys(VEHICLE, "delete")).union(draft.keys(VEHICLE, "insert"))
    if sides.resource is MEMBER and draft.rules.replace:
        draft.headless = not keeps_one(sides, outcomes) and (draft.there.sheet is None or keeps_one(sides, {}))


def _idle(draft: Draft, since: Since) -> list[str]:
    """Warns of each option that takes back the counting deletion of no row of this backup."""
    counting = [
        (name, key, deletion.batch)
        for (name, key), deletion in since.counting.items()
        if not draft.outcomes[name][key].erased
    ]
    return [
        f"--include-deleted {option.said} n'annule la suppression d'aucune ligne de ce backup"
        for option in draft.rules.included
        if not any(option.names(*deletion) for deletion in counting)
    ]


async def _warnings(connection: AnyConnection, draft: Draft) -> list[str]:
    said, manifest = [], draft.there.reading.manifest
    lost = draft.lost.get(EVENT.name, set())
    released = sum(facts.reference in lost for facts in draft.there.rows[EVENT.name].values())
    if released:
        said.append(f"Event : vehicleId inconnu, mis à null ({released})")
    said += await _companions(connection, draft)
    if EVENT not in draft.rules.resources:
        sql = "SELECT count(*) FROM event WHERE vehicle_id = ANY ($1)"
        orphans = await connection.fetchval(sql, draft.keys(VEHICLE, "delete"))
        said += [plural(orphans, "événement perd son véhicule", "événements perdent leur véhicule")] if orphans else []
    revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    if manifest is not None and manifest.ours and manifest.revision != revision:
        said.append(f"backup du schéma {manifest.revision}, base au schéma {revision}")
    if draft.headless:
        said.append("plus aucun ADMIN actif après la restauration : retrobus member set-role … ADMIN, ou create-admin")
    return said


async def _companions(connection: AnyConnection, draft: Draft) -> list[str]:
    """Warns of the events that have the vehicle of an `--only` in the backup, and none here since it was deleted."""
    there = draft.there.companions
    sql = "SELECT id FROM event WHERE vehicle_id IS NULL AND id = ANY ($1) ORDER BY id"
    lone = defaultdict(list)
    for row in await connection.fetch(sql, list(there)):
        lone[there[row["id"]]].append(f"event:{row['id']}")
    return [
        f"{plural(len(events), 'événement')} du backup avec le véhicule {parc}, et sans véhicule ici, par exemple "
        f"--only {shlex.quote(events[0])} --replace"
        for parc, events in lone.items()
    ]
