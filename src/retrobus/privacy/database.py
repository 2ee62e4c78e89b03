"""What PostgreSQL holds about one member, and how all of it goes."""

import json
from collections.abc import Callable
from typing import Any
from unicodedata import normalize

from retrobus.accounts.changes import LAST_ADMIN, member_named
from retrobus.backups import BadBackup
from retrobus.backups.restore import LOCK_TIMEOUT, lock_maintenance
from retrobus.database import sql
from retrobus.database.connection import AnyConnection
from retrobus.model.resources import ALL, MEMBER
from retrobus.model.rows import encoded
from retrobus.model.wire import moment
from retrobus.privacy.person import Person, person_of
from retrobus.privacy.traces import Role, Trace, own_row, trace
from retrobus.store.errors import Conflict
from retrobus.store.steps import keep_one

ANSWERS = """SELECT * FROM (
  SELECT row_key = $1 AND path NOT LIKE '/api/vehicles%' AND path NOT LIKE '/api/events%' AS own,
    member_id = $1 AS acted, member_id, method, path, key, answer, created_at FROM idempotency) AS kept
WHERE own OR acted ORDER BY created_at"""
FORGET_ANSWER = "DELETE FROM idempotency WHERE member_id = $1 AND method = $2 AND path = $3 AND key = $4"
DELETIONS = """SELECT resource = 'Member' AND key = $1 AS own, resource, deleted_at, cause FROM deletion
WHERE (resource = 'Member' AND key = $1) OR actor = $1 ORDER BY version"""
CONFLICTS = """SELECT id, resource, key, operation, entry::text AS entry, reason, created_at, resolution FROM conflict
WHERE resource = 'Member' OR entry->>'member' = $1 ORDER BY id"""
OTHERS = "SELECT id FROM member WHERE id <> $1"
CREATED = "SELECT count(*) FROM member WHERE created_by = $1 AND id <> $1"
CHANGED = """SELECT (SELECT count(*) FROM vehicle WHERE updated_by = $1)
  + (SELECT count(*) FROM event WHERE updated_by = $1)
  + (SELECT count(*) FROM member WHERE updated_by = $1 AND id <> $1)"""

REMEMBER = """INSERT INTO erasure (fingerprint) SELECT unnest(retrobus_fingerprints($1, $2, $3, $4))
ON CONFLICT (fingerprint) DO UPDATE SET erased_at = excluded.erased_at"""
NAMELESS = """UPDATE deletion SET cause = 'erase',
  key = 'erased-' || left(encode((retrobus_fingerprints($1, NULL, NULL, NULL))[1], 'hex'), 24)
WHERE resource = 'Member' AND key = $1"""
FORGET = (
    "UPDATE deletion SET actor = NULL WHERE actor = $1",
    """UPDATE conflict SET entry = entry || '{"member": null, "once": null}' WHERE entry->>'member' = $1""",
    """UPDATE conflict SET entry = entry || '{"resolvedBy": null}' WHERE entry->>'resolvedBy' = $1""",
    """UPDATE conflict SET entry = jsonb_set(entry, '{row,created_by}', 'null')
    WHERE resource = 'Member' AND entry->'row'->>'created_by' = $1""",
    """UPDATE conflict SET entry = jsonb_set(entry, '{image,created_by}', 'null')
    WHERE resource = 'Member' AND entry->'image'->>'created_by' = $1""",
    """UPDATE conflict SET entry = jsonb_set(entry, '{row,updated_by}', 'null')
    WHERE entry->'row'->>'updated_by' = $1""",
    """UPDATE conflict SET entry = jsonb_set(entry, '{image,updated_by}', 'null')
    WHERE entry->'image'->>'updated_by' = $1""",
    """UPDATE idempotency SET answer = replace(answer, '"createdBy":' || to_json($1::text)::text, '"createdBy":null')
    WHERE strpos(answer, '"createdBy":' || to_json($1::text)::text) > 0""",
    """UPDATE idempotency SET answer = replace(answer, '"updatedBy":' || to_json($1::text)::text, '"updatedBy":null')
    WHERE strpos(answer, '"updatedBy":' || to_json($1::text)::text) > 0""",
    "UPDATE member SET created_by = NULL WHERE created_by = $1",
    "UPDATE vehicle SET updated_by = NULL WHERE updated_by = $1",
    "UPDATE event SET updated_by = NULL WHERE updated_by = $1",
    "UPDATE member SET updated_by = NULL WHERE updated_by = $1",
    "DELETE FROM member WHERE id = $1",
)

Document = dict[str, Any]


async def find(connection: AnyConnection, key: str) -> tuple[Person, Document | None]:
    """The member with this id, e-mail or matricule, and the row without secrets.

    Without such a row, the former member with this id, whose traces may be left. SeveralMembers if the text names two:
    the id of one may be the matricule of another.
    """
    row = await member_named(connection, key)
    if row is None:
        key = normalize("NFC", key.strip())
        return Person(key, others=await _others(connection, key)), None
    document = own_row({column.name: encoded(column, row[column.name]) for column in MEMBER.shown})
    return person_of(row, await _others(connection, row["id"])), document


async def _others(connection: AnyConnection, key: str) -> frozenset[str]:
    return frozenset(row["id"] for row in await connection.fetch(OTHERS, key))


async def held(connection: AnyConnection, person: Person) -> Document:
    """Every trace of the person outside the member's row, as an export shows it."""
    conflicts = await _conflicts(connection, person)
    return {
        "answers": [_answer_told(row) for row in await connection.fetch(ANSWERS, person.id)],
        "deletions": [_deletion_told(row) for row in await connection.fetch(DELETIONS, person.id)],
        "conflicts": [told for row in conflicts if (told := _conflict_told(person, row)) is not None],
        "createdMembers": await connection.fetchval(CREATED, person.id),
        "changedRows": await connection.fetchval(CHANGED, person.id),
        "toLookAt": [f"conflit {row['id']}" for row in conflicts if _is_doubtful(person, row)],
    }


def _answer_told(row: Any) -> Trace:
    """An answer kept for an Idempotency-Key: shown if it is the person's own row."""
    path = row["path"]
    resource = next((one.name for one in ALL if path.startswith(f"/api/{one.plural}")), MEMBER.name)
    own = {"answer": own_row(json.loads(row["answer"]))} if row["own"] else {}
    return trace("actor" if row["acted"] else "subject", moment(row["created_at"]), resource, row["method"], **own)


def _deletion_told(row: Any) -> Trace:
    role: Role = "subject" if row["own"] else "actor"
    return trace(role, moment(row["deleted_at"]), row["resource"], "delete", cause=row["cause"])


async def _conflicts(connection: AnyConnection, person: Person) -> list[Document]:
    rows = await connection.fetch(CONFLICTS, person.id)
    return [{**row, "entry": json.loads(row["entry"])} for row in rows]


def _conflict_told(person: Person, row: Document) -> Trace | None:
    at, resource, operation = moment(row["created_at"]), row["resource"], row["operation"]
    if _is_about(person, row, person.is_surely_in):
        rows = {name: own_row(found) for name, found in _rows_of(row).items() if _is_theirs(person, row, found)}
        return trace("subject", at, resource, operation, key=row["key"], reason=row["reason"], **rows)
    return trace("actor", at, resource, operation) if row["entry"].get("member") == person.id else None


def _is_theirs(person: Person, conflict: Document, found: Document) -> bool:
    """Whether one of the two rows of a conflict is the person's: another member may have taken its key since."""
    return conflict["key"] == person.id or person.is_surely_in(found)


def _is_doubtful(person: Person, conflict: Document) -> bool:
    return not _is_about(person, conflict, person.is_surely_in) and _is_about(person, conflict, person.is_perhaps_in)


def _is_about(person: Person, conflict: Document, is_in: Callable[[Document], bool]) -> bool:
    """Whether the conflict holds this member's row; a conflict that this member only caused stays open."""
    return conflict["resource"] == "Member" and (
        conflict["key"] == person.id or any(map(is_in, _rows_of(conflict).values()))
    )


def _rows_of(conflict: Document) -> dict[str, Document]:
    entry = conflict["entry"]
    return {name: entry[name] for name in ("row", "image") if entry.get(name) is not None}


async def erase(connection: AnyConnection, person: Person) -> None:
    """Removes the row and every trace in the open transaction.

    Left are a tombstone without a name, and keyed hashes by which a restore knows the person again.
    """
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    await lock_maintenance(connection)
    await _check_admin(connection, person)
    await connection.execute(f"SELECT set_config('retrobus.cause', 'erase', true); {sql.GIVEN_STAMPS}")
    await connection.execute(REMEMBER, person.id, person.email, person.matricule, person.number)
    found = await _conflicts(connection, person)
    about = [row["id"] for row in found if _is_about(person, row, person.is_in)]
    await connection.execute("DELETE FROM conflict WHERE id = ANY ($1::int[])", about)
    answers = await connection.fetch(ANSWERS, person.id)
    places = [(row["member_id"], row["method"], row["path"], row["key"]) for row in answers]
    await connection.executemany(FORGET_ANSWER, places)
    for statement in FORGET:
        await connection.execute(statement, person.id)
    await connection.execute(sql.STAMPED)
    await connection.execute(NAMELESS, person.id)
    await connection.execute(sql.READ_ALL_AGAIN)  # a mirror would not find this member's tombstone


async def _check_admin(connection: AnyConnection, person: Person) -> None:
    row = await sql.row_of(connection, MEMBER, person.id, lock=True)
    if row is None:
        return
    try:
        await keep_one(connection, MEMBER, row, None)
    except Conflict:
        raise BadBackup(LAST_ADMIN) from None
