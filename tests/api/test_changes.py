"""Facts about the feed of changes: what each caller is told, in which order, and what a cursor is good for."""

import asyncio
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from harness import LONGEST, Api, Person

Item = dict[str, Any]
Copy = dict[tuple[str, str], Any]


class Follower:
    """A client that keeps a copy by the rules of the reference."""

    def __init__(self, api: Api, path: str = "/public/changes", who: Person | None = None, limit: int = 1000) -> None:
        self.copy: Copy = {}
        self.cursor: str | None = None
        self.told: list[Item] = []
        self._versions: dict[tuple[str, str], int] = {}
        self._api, self._path, self._who, self._limit = api, path, who, limit

    def page(self) -> bool:
        """Reads one page; whether more is to be read."""
        asked = {"limit": str(self._limit)} | ({} if self.cursor is None else {"since": self.cursor})
        answer = self._api.get(self._path, params=asked, headers=self._who.headers if self._who else {})
        assert answer.status_code == 200, answer.text
        found = answer.json()
        versions = [item["version"] for item in found["changes"]]
        assert versions == sorted(versions)
        for item in found["changes"]:
            self.apply(item)
        self.cursor = found["cursor"]
        return bool(found["more"])

    def read(self) -> Copy:
        """Reads until there is no more."""
        self.told = []
        while self.page():
            pass
        return self.copy

    def apply(self, item: Item) -> None:
        self.told.append(item)
        key = item["resource"], item["key"]
        if item["version"] >= self._versions.get(key, 0):
            self._versions[key] = item["version"]
            self.copy.pop(key, None)
            if not item["deleted"]:
                self.copy[key] = item["row"]


VEHICLES = (
    "INSERT INTO vehicle (parc, is_public, background_image) VALUES ('920', true, 'data:x'), ('921', false, null)"
)
EVENTS = (
    "INSERT INTO event (id, title, date, status) VALUES ('sortie', 'Sortie', '2026-05-01', 'PUBLISHED'),"
    " ('secret', 'Brouillon', '2026-05-02', 'DRAFT')"
)


@pytest.fixture
def rows(api: Api) -> Api:
    """Two vehicles and two events, of each one that the public sees."""
    api.sql(VEHICLES, EVENTS)
    return api


def keys(copy: Copy) -> set[str]:
    return {key for _, key in copy}


def test_without_a_cursor_everything_is_told_as_in_the_lists(rows: Api, manager: Person) -> None:
    copy = Follower(rows, "/api/changes", manager).read()

    lists = {name: rows.get(f"/api/{name}", headers=manager.headers).json()[name] for name in ("events", "vehicles")}
    assert [copy["Event", row["id"]] for row in lists["events"]] == lists["events"]
    assert [copy["Vehicle", row["parc"]] for row in lists["vehicles"]] == lists["vehicles"]
    assert copy["Vehicle", "920"]["hasBackgroundImage"] is True
    assert copy["Member", manager.id] == rows.get(f"/api/members/{manager.id}", headers=manager.headers).json()
    assert keys(copy) == {"920", "921", "sortie", "secret", manager.id}


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_deletions_and_changes_are_told_after_the_cursor(rows: Api, manager: Person, limit: int) -> None:
    follower = Follower(rows, "/api/changes", manager, limit)
    follower.read()
    rows.sql("DELETE FROM event WHERE id = 'sortie'", "UPDATE vehicle SET parc = '1921' WHERE parc = '921'")

    copy = follower.read()

    assert keys(copy) == {"920", "1921", "secret", manager.id}
    assert {(item["key"], item["deleted"]) for item in follower.told} == {
        ("sortie", True),
        ("921", True),
        ("1921", False),
    }
    assert all("row" not in item for item in follower.told if item["deleted"])


def test_members_are_told_to_managers_and_to_each_its_own_row(rows: Api, manager: Person, member: Person) -> None:
    of_manager, of_member = (Follower(rows, "/api/changes", who) for who in (manager, member))
    assert {manager.id, member.id} <= keys(of_manager.read())
    assert keys(of_member.read()) == {"920", "921", "sortie", "secret", member.id}

    rows.sql(f"UPDATE member SET city = 'Lyon' WHERE id IN ('{manager.id}', '{member.id}')")
    other = rows.person("MEMBER")
    rows.sql(f"DELETE FROM member WHERE id = '{other.id}'")
    of_manager.read()
    of_member.read()

    assert [item["key"] for item in of_member.told] == [member.id]
    assert {item["key"] for item in of_manager.told} == {manager.id, member.id, other.id}


def test_the_public_is_told_what_it_saw_and_nothing_else(rows: Api) -> None:
    follower = Follower(rows)
    copy = follower.read()
    assert keys(copy) == {"920", "sortie"}
    assert copy["Vehicle", "920"] == rows.get("/public/vehicles").json()[0]

    rows.sql("UPDATE vehicle SET etat = 'x' WHERE parc = '921'", "UPDATE event SET title = 'x' WHERE id = 'secret'",
             "DELETE FROM vehicle WHERE parc = '921'", "DELETE FROM event WHERE id = 'secret'")  # fmt: skip
    assert follower.read() == copy
    assert follower.told == []

    rows.sql("UPDATE vehicle SET is_public = false", "UPDATE event SET extras = '{\"isVisible\": false}'")
    assert follower.read() == {}
    assert [(item["key"], item["deleted"], set(item)) for item in follower.told] == [
        (key, True, {"resource", "key", "version", "deleted"}) for key in ("920", "sortie")
    ]


def test_nothing_is_told_of_a_row_after_it_was_hidden_until_it_is_gone_or_shown_again(rows: Api) -> None:
    follower, late = Follower(rows), Follower(rows)
    for one in (follower, late):
        one.read()
    rows.sql("UPDATE vehicle SET is_public = false", "UPDATE event SET status = 'DRAFT'")
    follower.read()

    rows.sql("UPDATE vehicle SET etat = 'en panne'", "UPDATE event SET title = 'Autre'")
    follower.read()
    assert follower.told == []

    rows.sql("DELETE FROM vehicle", "UPDATE event SET status = 'PUBLISHED' WHERE id = 'sortie'")
    assert keys(follower.read()) == keys(late.read()) == {"sortie"}
    assert follower.copy["Event", "sortie"]["title"] == "Autre"


def test_a_key_that_the_public_never_saw_is_not_told_when_it_gets_a_new_name(rows: Api) -> None:
    follower = Follower(rows)
    follower.read()

    rows.sql("UPDATE vehicle SET parc = 'x920', is_public = false WHERE parc = '920'")
    follower.read()

    assert [(item["key"], item["deleted"]) for item in follower.told] == [("920", True)]


def test_one_resource_can_be_asked_for(rows: Api, manager: Person) -> None:
    answer = rows.get("/api/changes", params={"resource": "Event"}, headers=manager.headers)

    assert {item["key"] for item in answer.json()["changes"]} == {"sortie", "secret"}
    bad = rows.get("/public/changes", params={"resource": "Member"})
    assert (bad.status_code, bad.json()["errors"][0]["field"]) == (422, "resource")


def cursor_of(api: Api, **params: str) -> str:
    found: str = api.get("/public/changes", params=params).json()["cursor"]
    return found


def nonsense(cursor: str) -> Iterator[str]:
    yield from ("", "x", "é", "a" * 9000, cursor[:-1], cursor + "A", cursor[1:], cursor.swapcase())
    yield from (cursor[:i] + ("A" if cursor[i] != "A" else "B") + cursor[i + 1 :] for i in range(0, len(cursor), 7))


def test_a_cursor_that_is_nonsense_is_refused(rows: Api) -> None:
    for text in nonsense(cursor_of(rows)):
        answer = rows.get("/public/changes", params={"since": text})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "since"), text


RENEWED = {
    "another identity": "UPDATE database_identity SET id = gen_random_uuid()",
    "an erasure": "UPDATE database_identity SET created_at = clock_timestamp()",
}


@pytest.mark.parametrize("change", RENEWED.values(), ids=RENEWED)
def test_a_cursor_of_another_database_or_before_an_erasure_must_be_forgotten(rows: Api, change: str) -> None:
    cursor = cursor_of(rows)
    rows.sql(change)

    answer = rows.get("/public/changes", params={"since": cursor})

    assert (answer.status_code, answer.json()["code"]) == (410, "resync_required")
    assert rows.get("/public/changes").status_code == 200


def test_a_cursor_is_good_for_one_caller_and_one_question(rows: Api, manager: Person, member: Person) -> None:
    cursor = cursor_of(rows)

    asked: list[tuple[str, dict[str, str], Person | None]] = [
        ("/api/changes", {}, manager), ("/api/changes", {}, member), ("/public/changes", {"resource": "Event"}, None)
    ]  # fmt: skip
    for path, params, who in asked:
        answer = rows.get(path, params=params | {"since": cursor}, headers=who.headers if who else {})
        assert (answer.status_code, answer.json()["code"]) == (410, "resync_required")


def test_who_is_no_manager_any_more_must_forget_the_members(rows: Api, manager: Person) -> None:
    follower = Follower(rows, "/api/changes", manager)
    follower.read()
    rows.sql(f"UPDATE member SET role = 'MEMBER' WHERE id = '{manager.id}'")

    assert rows.get("/api/changes", params={"since": follower.cursor}, headers=manager.headers).status_code == 401


PAUSED = {
    "before its transaction id": ("BEGIN", "INSERT INTO vehicle (parc, is_public) VALUES ('late', true)"),
    "between transaction id and version": (
        "BEGIN; SELECT pg_current_xact_id()",
        "INSERT INTO vehicle (parc, is_public) VALUES ('late', true)",
    ),
    "between version and COMMIT": ("BEGIN; INSERT INTO vehicle (parc, is_public) VALUES ('late', true)", "SELECT 1"),
    "after a delete": ("BEGIN; DELETE FROM event WHERE id = 'sortie'", "SELECT 1"),
    "in a subtransaction": (
        "BEGIN; SAVEPOINT s; INSERT INTO vehicle (parc, is_public) VALUES ('late', true)",
        "RELEASE s",
    ),
}


@pytest.mark.parametrize("limit", [1, 3, 1000])
@pytest.mark.parametrize(("begun", "rest"), PAUSED.values(), ids=PAUSED)
def test_a_writer_that_pauses_is_not_missed(rows: Api, begun: str, rest: str, limit: int) -> None:
    before, begins = Follower(rows, limit=limit), Follower(rows, limit=limit)
    before.read()

    async def story() -> None:
        slow = await asyncpg.connect(rows.database_url)
        try:
            await slow.execute(begun)
            await asyncio.to_thread(begins.read)
            for number in range(4):
                await asyncio.to_thread(
                    rows.sql, f"INSERT INTO vehicle (parc, is_public) VALUES ('quick{number}', true)"
                )
                await asyncio.to_thread(before.read)
            await asyncio.to_thread(begins.page)
            await slow.execute(rest)
            await slow.execute("COMMIT")
        finally:
            await slow.close()

    asyncio.run(asyncio.wait_for(story(), LONGEST))

    lists = [row["parc"] for row in rows.get("/public/vehicles").json()]
    lists += [row["id"] for row in rows.get("/public/events").json()]
    assert keys(before.read()) == keys(begins.read()) == set(lists)


def test_beside_a_long_writer_only_what_is_new_is_read_again(rows: Api) -> None:
    async def story() -> None:
        slow = await asyncpg.connect(rows.database_url)
        try:
            await slow.execute("BEGIN; INSERT INTO vehicle (parc) VALUES ('late')")
            follower = Follower(rows)
            follower.read()
            for number in range(3):
                await asyncio.to_thread(
                    rows.sql, f"INSERT INTO vehicle (parc, is_public) VALUES ('quick{number}', true)"
                )
                await asyncio.to_thread(follower.read)
                assert [item["key"] for item in follower.told] == [f"quick{number}"]
        finally:
            await slow.close()

    asyncio.run(asyncio.wait_for(story(), LONGEST))


def test_while_nothing_happens_a_request_writes_and_reads_nothing(rows: Api) -> None:
    follower = Follower(rows)
    follower.read()
    before = rows.sql("SELECT pg_current_snapshot()::text")[0][0], follower.cursor

    for _ in range(3):
        follower.read()

    assert (rows.sql("SELECT pg_current_snapshot()::text")[0][0], follower.cursor) == before
