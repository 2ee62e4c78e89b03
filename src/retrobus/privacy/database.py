"""What Postgres holds about one member, and how it goes."""

import json
from typing import Any
from unicodedata import normalize

from retrobus.backups import BadBackup
from retrobus.backups.restore import LOCK_TIMEOUT, lock_maintenance
from retrobus.privacy.person import Person, person_of
from retrobus.rows import encoded
from retrobus.tables import SECRET_COLUMNS, member, stored_columns
from retrobus.wire import moment

FIND = """SELECT {columns} FROM member WHERE id = $1 OR lower(email COLLATE "C") = lower($1::text COLLATE "C")
OR lower(matricule COLLATE "C") = lower($1::text COLLATE "C") ORDER BY id"""
ANSWERS = (
    "SELECT member_id, method, path, row_key, answer, created_at FROM idempotency WHERE member_id = $1 OR row_key = $1"
)
DELETIONS = """SELECT resource, key, deleted_at, actor, cause FROM deletion
WHERE (resource = 'Member' AND key = $1) OR actor = $1 ORDER BY version"""
CONFLICTS = """SELECT id, resource, key, operation, entry, reason, created_at FROM conflict
WHERE resource = 'Member' OR entry->>'member' = $1 ORDER BY id"""
CREATED = "SELECT id FROM member WHERE created_by = $1 AND id <> $1 ORDER BY id"
ANOTHER_ADMIN = "SELECT EXISTS (SELECT FROM member WHERE role = 'ADMIN' AND status = 'active' AND id <> $1)"

REMEMBER = """INSERT INTO erasure (fingerprint) SELECT unnest(retrobus_fingerprints($1, $2, $3, $4))
ON CONFLICT (fingerprint) DO UPDATE SET erased_at = excluded.erased_at"""
NAMELESS = """UPDATE deletion SET cause = 'erase',
  key = 'erased-' || left(encode((retrobus_fingerprints($1, NULL, NULL, NULL))[1], 'hex'), 24)
WHERE resource = 'Member' AND key = $1"""
FORGET = (
    "UPDATE deletion SET actor = NULL WHERE actor = $1",
    "DELETE FROM idempotency WHERE member_id = $1 OR row_key = $1",
    """UPDATE conflict SET entry = entry || '{"member": null, "once": null}' WHERE entry->>'member' = $1""",
    "UPDATE member SET created_by = NULL WHERE created_by = $1",
    "DELETE FROM member WHERE id = $1",
)

Document = dict[str, Any]


class SeveralMembers(ValueError):
    """The text names more than one member; erasing one of them by chance could erase the other at the next try."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__(f"plusieurs membres portent ce nom : {', '.join(ids)} ; donnez ce qu'un seul porte")


async def find(connection: Any, key: str) -> tuple[Person, Document | None]:
    """The member with this id, e-mail or matricule, and the row without secrets; without one, the former owner of
    this id; SeveralMembers if it is the id of one and the matricule of another, for instance.
    """
    key = normalize("NFC", key.strip())
    columns = [column for column in stored_columns(member) if column.name not in SECRET_COLUMNS]
    rows = await connection.fetch(FIND.format(columns=", ".join(column.name for column in columns)), key)
    if not rows:
        return Person(key), None
    if len(rows) > 1:
        raise SeveralMembers([row["id"] for row in rows])
    row = rows[0]
    return person_of(row), {column.name: encoded(column, row[column.name]) for column in columns}


async def held(connection: Any, person: Person) -> Document:
    """Every trace of the person outside the member's row."""
    conflicts = await _plain(connection, CONFLICTS, person.id)
    return {
        "answers": await _plain(connection, ANSWERS, person.id),
        "deletions": await _plain(connection, DELETIONS, person.id),
        "conflicts": [row for row in conflicts if _is_about(person, row) or row["entry"].get("member") == person.id],
        "createdMembers": [row["id"] for row in await connection.fetch(CREATED, person.id)],
    }


async def _plain(connection: Any, sql: str, key: str) -> list[Document]:
    return [{name: _value(name, value) for name, value in row.items()} for row in await connection.fetch(sql, key)]


def _value(name: str, value: Any) -> Any:
    if name.endswith("_at"):
        return moment(value)
    return json.loads(value) if name in {"entry", "answer"} else value


def _is_about(person: Person, conflict: Document) -> bool:
    """Whether it holds this member's row; what they did to other rows stays to be decided."""
    rows = (conflict["entry"].get("row"), conflict["entry"].get("image"))
    return conflict["resource"] == "Member" and (conflict["key"] == person.id or any(map(person.is_in, rows)))


async def erase(connection: Any, person: Person) -> None:
    """Removes the row and every trace in the open transaction; what stays is a tombstone without a name, and hashes."""
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    await lock_maintenance(connection)
    await _check_admin(connection, person)
    await connection.execute("SELECT set_config('retrobus.cause', 'erase', true)")
    await connection.execute(REMEMBER, person.id, person.email, person.matricule, person.number)
    about = [row["id"] for row in await _plain(connection, CONFLICTS, person.id) if _is_about(person, row)]
    await connection.execute("DELETE FROM conflict WHERE id = ANY ($1::int[])", about)
    for statement in FORGET:
        await connection.execute(statement, person.id)
    await connection.execute(NAMELESS, person.id)
    await connection.execute("SELECT pg_notify('retrobus_change', 'Member')")  # mirrors look for a tombstone by name


async def _check_admin(connection: Any, person: Person) -> None:
    row = await connection.fetchrow("SELECT role, status FROM member WHERE id = $1 FOR UPDATE", person.id)
    if row is None or (row["role"], row["status"]) != ("ADMIN", "active"):
        return
    await connection.execute("SELECT pg_advisory_xact_lock(hashtext('retrobus:keep_one'))")
    if not await connection.fetchval(ANOTHER_ADMIN, person.id):
        raise BadBackup("C'est le dernier administrateur actif : nommez-en un autre d'abord.")
