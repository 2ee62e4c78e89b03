"""Whether a failover lost acknowledged writes: the service looks for the last ones on the new primary.

With asynchronous replication a standby may be promoted that never received the last commits of its leader. Clients
have their 201 for these writes, and no server has the rows.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from retrobus.database.connection import AnyConnection
from retrobus.model.resources import ALL, MEMBER, Resource

KEPT = 500
"""Rows whose last acknowledged version is remembered: some seconds of writes, which is what a failover can lose."""

SHOWN = 5
"""Lost rows that the log names."""

Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Failover:
    """How many of the last acknowledged writes a new timeline lacks."""

    timeline: int
    checked: int
    lost: list[Place]

    @property
    def examples(self) -> list[str]:
        """Some lost rows for the log; a member is a person and is not named there."""
        personal = MEMBER.name
        return [name if name == personal else f"{name} {key}" for name, key in self.lost[:SHOWN]]


@dataclass(slots=True)
class Acknowledged:
    """The last acknowledged writes of this process: of each row its highest version."""

    versions: OrderedDict[Place, int] = field(default_factory=OrderedDict)

    def note(self, resource: Resource, key: str, version: int) -> None:
        """Remembers a write whose COMMIT was confirmed."""
        place = (resource.name, key)
        self.versions[place] = max(version, self.versions.pop(place, 0))
        if len(self.versions) > KEPT:
            self.versions.popitem(last=False)

    async def look_for(self, connection: AnyConnection, timeline: int) -> Failover:
        """Looks whether each row has its version, a later one or a tombstone; forgets the writes that it looked for."""
        asked = dict(self.versions)
        found: dict[Place, int] = {}
        async with connection.transaction():
            for resource in ALL:
                keys = [key for name, key in asked if name == resource.name]
                rows = await connection.fetch(_latest(resource), resource.name, keys) if keys else []
                found |= {(resource.name, row["key"]): row["version"] for row in rows}
        for place, version in asked.items():
            if self.versions.get(place) == version:
                del self.versions[place]
        lost = [place for place, version in asked.items() if found.get(place, 0) < version]
        return Failover(timeline, len(asked), lost)


def _latest(resource: Resource) -> str:
    key = resource.key
    return (
        f"SELECT key, max(version) AS version FROM (SELECT {key} AS key, version FROM {resource.table.name}"  # noqa: S608 - our own names
        f" WHERE {key} = ANY($2::text[]) UNION ALL SELECT key, version FROM deletion"
        " WHERE resource = $1 AND key = ANY($2::text[])) AS states GROUP BY key"
    )
