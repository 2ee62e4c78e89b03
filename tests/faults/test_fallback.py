"""Postgres away with the fallback on: every answer says where it comes from, and what is known still holds."""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import httpx
import pytest

from builders import Body, a_member, a_vehicle, an_event
from faults.outage import Outage, outage, source
from faults.proxy import Proxy
from faults.psql import end_connections
from faults.replay_hold import LAST_PASS_WAITS
from harness import LONGEST, TOKENS, Person, until
from limits import usual
from locks import held
from operations import ACCOUNT, OPERATIONS, PASSWORD, Operation, prepared, send
from retrobus.development.embedded import EmbeddedPostgres

pytestmark = pytest.mark.faults

APART = re.compile("/changes|GET /api/deletions|/api/conflicts|POST /api/backups")
"""What PostgreSQL alone knows or takes."""

DATA = {
    name: one
    for name, one in OPERATIONS.items()
    if name not in {"health", "ready", "metrics", "changePassword", "changeMemberPassword"}
    and not APART.search(f"{one.method} {one.path}")  # PostgreSQL alone answers
}  # fmt: skip
"""Every operation that is answered from data, and leaves the caller's token as it is."""


AWAY = [one for one in OPERATIONS.values() if APART.search(f"{one.method} {one.path}") and "changes" not in one.path]
"""Every operation about what PostgreSQL alone knows."""


def effect(named: tuple[str, Operation]) -> int:
    """Reads first, what takes rows or rights away last."""
    name, operation = named
    return ("GET", "POST", "PUT", "PATCH", "DELETE").index("DELETE" if name == "terminateMember" else operation.method)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_every_answer_from_memory_says_so_and_how_old_it_is(fallback: Outage) -> None:
    headers = prepared(fallback.api)["ADMIN"]
    before = datetime.now(UTC)
    fallback.wait_for_mirror()
    fallback.cut()

    answers = {name: send(fallback.api, one, headers) for name, one in sorted(DATA.items(), key=effect)}

    assert {answer.status_code for answer in answers.values()} == {200, 202, 404}
    for name, answer in answers.items():
        told = {key: answer.headers.get(f"X-Data-{key}") for key in ("Source", "Origin")}
        assert told == {"Source": "memory", "Origin": "postgres"}, (name, answer.status_code, answer.text)
        assert moment(answer.headers["X-Data-As-Of"]) > before, name


def test_what_postgresql_alone_knows_is_refused_meanwhile(fallback: Outage) -> None:
    headers = prepared(fallback.api)["ADMIN"]
    fallback.wait_for_mirror()
    before = [send(fallback.api, one, headers).status_code for one in AWAY]

    fallback.cut()

    answers = [send(fallback.api, one, headers) for one in AWAY]
    assert set(before) == {200, 201, 409}  # an applied conflict cannot be discarded
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(503, "memory_unavailable")}


def test_a_write_to_memory_is_accepted_with_the_body_of_a_finished_one(fallback: Outage) -> None:
    before = fallback.done("POST", "vehicles", a_vehicle(parc="920")).json()
    fallback.cut()

    changed = fallback.send("PATCH", "vehicles/920", {"etat": "en panne"})
    made = fallback.send("POST", "vehicles", a_vehicle(parc="921"))
    gone = fallback.send("DELETE", "vehicles/920")

    assert [answer.status_code for answer in (changed, made, gone)] == [202, 202, 202]
    assert {answer.headers["X-Durability"] for answer in (changed, made, gone)} == {"memory"}
    assert changed.json() | {"updatedAt": ""} == before | {"etat": "en panne", "updatedAt": ""}
    assert re.fullmatch(rf'"[0-9a-f]{{8}}-{before["version"]}-j1"', changed.headers["ETag"])
    assert (made.headers["Location"], made.json()["parc"]) == ("/api/vehicles/921", "921")
    assert gone.json() == {"ok": True}


def test_with_the_journal_on_disk_a_write_is_there_before_its_answer(saving: Outage) -> None:
    saving.done("POST", "vehicles", a_vehicle(parc="920"))
    saving.cut()

    answer = saving.send("PATCH", "vehicles/920", {"etat": "en panne"})

    journal = saving.folder / "journal.jsonl"
    _, entry = (json.loads(line[9:]) for line in journal.read_text().splitlines())
    assert (answer.status_code, answer.headers["X-Durability"]) == (202, "journal")
    assert (entry["operation"], entry["key"], entry["row"]["etat"]) == ("update", "920", "en panne")
    assert journal.stat().st_mode & 0o777 == 0o600


REQUESTS: tuple[tuple[str, str, Body | None], ...] = (
    ("POST", "vehicles", a_vehicle(parc="920")),
    ("POST", "vehicles", a_vehicle(parc="a/b")),
    ("POST", "vehicles", {"marque": "Saviem"}),
    ("PUT", "vehicles/920", {"fuel": 101}),
    ("PUT", "vehicles/920", {"inconnu": 1}),
    ("PUT", "vehicles/404", {"etat": "en panne"}),
    ("DELETE", "vehicles/404", None),
    ("GET", "vehicles/99999999999999999999", None),
    ("GET", "vehicles?limit=0", None),
    ("GET", "vehicles?cursor=x", None),
    ("POST", "events", an_event(vehicleId="404")),
    ("POST", "events", an_event(id="sortie")),
    ("POST", "events", an_event(date="2026-02-30")),
    ("PATCH", "events/sortie", {"vehicleId": "404"}),
    ("POST", "members", a_member(email="COMPTE@example.org")),
    ("PATCH", "members/membre", {"role": "inconnu"}),
)


def test_bad_requests_get_the_same_verdict_from_memory(fallback: Outage) -> None:
    prepared(fallback.api)
    fallback.wait_for_mirror()

    def verdicts() -> list[tuple[int, Body]]:
        answers = [fallback.send(*request) for request in REQUESTS]
        return [(one.status_code, one.json() | {"requestId": ""}) for one in answers]

    usual = verdicts()
    fallback.cut()

    assert verdicts() == usual
    assert {status for status, _ in usual} == {400, 404, 409, 422}


def test_a_moved_row_and_a_missing_right_are_refused_from_memory_too(fallback: Outage) -> None:
    member = Person("membre", TOKENS.issue({"id": "membre", "role": "MEMBER", "token_epoch": 0})[0])
    prepared(fallback.api)
    fallback.wait_for_mirror()
    old = fallback.done("POST", "vehicles", a_vehicle(parc="921")).headers["ETag"]
    fallback.cut()
    new = fallback.done("PATCH", "vehicles/921", {"etat": "en panne"}).headers["ETag"]

    stale = fallback.send("PATCH", "vehicles/921", {"etat": "réparé"}, **{"If-Match": old})
    fresh = fallback.send("PATCH", "vehicles/921", {"etat": "réparé"}, **{"If-Match": new})
    forbidden = fallback.api.delete("/api/vehicles/921", headers=member.headers)

    assert [one.status_code for one in (stale, fresh, forbidden)] == [412, 202, 403]


def test_who_is_unknown_is_not_let_in_and_not_sent_away(fallback: Outage) -> None:
    stranger = Person("inconnu", TOKENS.issue({"id": "inconnu", "role": "ADMIN", "token_epoch": 0})[0])
    fallback.cut()

    answers = [fallback.api.get(path, headers=stranger.headers) for path in ("/api/events", "/api/me")]

    assert (answers[0].status_code, answers[0].json()["code"]) == (503, "memory_unavailable")
    assert (answers[1].status_code, source(answers[1])) == (200, "token")


def test_who_lost_access_before_or_during_the_outage_stays_out(fallback: Outage) -> None:
    people = {name: fallback.api.person() for name in ("disabled", "deleted", "deleted by psql", "terminated")}
    fallback.done("PATCH", f"members/{people['disabled'].id}", {"status": "disabled"})
    fallback.done("DELETE", f"members/{people['deleted'].id}")
    fallback.api.sql(f"DELETE FROM member WHERE id = '{people['deleted by psql'].id}'")
    known = fallback.api.person()
    fallback.wait_for_mirror()
    fallback.cut()
    fallback.done("POST", f"members/{people['terminated'].id}/terminate")
    fallback.done("DELETE", f"members/{known.id}")

    answers = [fallback.api.get("/api/events", headers=one.headers) for one in [*people.values(), known]]

    assert [answer.status_code for answer in answers] == [401] * 5


def log_in(outage: Outage, name: str, password: str = PASSWORD) -> httpx.Response:
    return outage.api.post("/api/auth/login", json={"email": name, "password": password})


def test_a_known_account_logs_in_from_memory_and_an_unknown_one_is_told_to_wait(fallback: Outage) -> None:
    prepared(fallback.api)
    fallback.wait_for_mirror()
    fallback.cut()

    right, wrong, unknown = (
        log_in(fallback, ACCOUNT),
        log_in(fallback, ACCOUNT, "pas celui-là"),
        log_in(fallback, "inconnu@example.org"),
    )

    assert (right.status_code, source(right)) == (200, "memory")
    token = {"Authorization": f"Bearer {right.json()['token']}"}
    assert fallback.api.get("/api/events", headers=token).status_code == 200
    assert (wrong.status_code, wrong.json()["code"]) == (401, "login_failed")
    assert (unknown.status_code, unknown.json()["code"]) == (503, "memory_unavailable")


def test_everybody_reads_what_memory_took(fallback: Outage) -> None:
    fallback.done("POST", "vehicles", a_vehicle(parc="920"))
    fallback.cut()

    fallback.done("POST", "vehicles", a_vehicle(parc="910"))
    fallback.done("PATCH", "vehicles/910", {"etat": "en panne"})
    fallback.done("DELETE", "vehicles/920")

    assert [row["parc"] for row in fallback.send("GET", "vehicles").json()["vehicles"]] == ["910"]
    assert fallback.send("GET", "vehicles/910").json()["etat"] == "en panne"
    assert fallback.send("GET", "vehicles/920").status_code == 404
    assert [row["parc"] for row in fallback.api.get("/public/vehicles").json()] == ["910"]


def test_what_memory_took_is_in_postgres_when_that_speaks_again(fallback: Outage) -> None:
    fallback.done("POST", "vehicles", a_vehicle(parc="920"))
    fallback.done("POST", "vehicles", a_vehicle(parc="930"))
    fallback.cut()
    fallback.done("POST", "vehicles", a_vehicle(parc="910"))
    fallback.done("PATCH", "vehicles/910", {"etat": "en panne"})
    told = fallback.done("PATCH", "vehicles/920", {"etat": "réparé"}).json()
    fallback.done("DELETE", "vehicles/930")

    fallback.heal()

    rows = fallback.api.sql("SELECT parc, etat, updated_by FROM vehicle ORDER BY parc")
    assert told["updatedBy"] == fallback.who.id
    assert [tuple(row) for row in rows] == [
        ("910", "en panne", told["updatedBy"]),
        ("920", "réparé", told["updatedBy"]),
    ]
    assert [row["parc"] for row in fallback.send("GET", "vehicles").json()["vehicles"]] == ["910", "920"]
    [tombstone] = fallback.api.sql("SELECT key, cause, actor FROM deletion WHERE resource = 'Vehicle'")
    assert tuple(tombstone) == ("930", "api", fallback.who.id)
    assert fallback.ready()["journal"] == {"entries": 0, "oldest": None, "waiting": None}


def test_until_the_journal_is_in_postgres_every_answer_is_memorys(fallback: Outage) -> None:
    fallback.done("POST", "vehicles", a_vehicle(parc="920"))
    fallback.cut()
    fallback.done("PATCH", "vehicles/920", {"etat": "en panne"})
    with held(fallback.api.database_url, "LOCK TABLE event") as lock:
        fallback.line.become("pass")
        until(lock.waiting, "the replay to wait for the lock")

        listed, read = fallback.send("GET", "events"), fallback.send("GET", "vehicles/920")
        written = fallback.send("PATCH", "vehicles/920", {"etat": "réparé"})

    assert {source(answer) for answer in (listed, read, written)} == {"memory"}
    assert (read.json()["etat"], written.status_code) == ("en panne", 202)
    until(fallback.is_over, "the return to Postgres")
    assert fallback.send("GET", "vehicles/920").json()["etat"] == "réparé"


def test_while_the_last_entries_go_to_postgres_a_write_is_sent_away(
    fallback: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    fallback.done("POST", "vehicles", a_vehicle(parc="920"))
    fallback.api.sql(*LAST_PASS_WAITS)
    fallback.cut()
    fallback.done("PATCH", "vehicles/920", {"etat": "en panne"})
    with held(fallback.api.database_url, "SELECT pg_advisory_xact_lock(42)") as lock:
        fallback.line.become("pass")
        until(lock.waiting, "the last pass of the replay")
        usual(monkeypatch, "fallback.mirrored.PATIENCE")

        read = fallback.send("GET", "vehicles/920")
        refused = fallback.send("PATCH", "vehicles/920", {"etat": "réparé"})

    assert (source(read), read.json()["etat"]) == ("memory", "en panne")
    assert (refused.status_code, refused.json()["code"], refused.json()["outcome"]) == (
        503, "database_busy", "not_applied",
    )  # fmt: skip
    assert refused.headers["Retry-After"]
    until(fallback.is_over, "the return to Postgres")
    assert fallback.send("GET", "vehicles/920").json()["etat"] == "en panne"


def test_a_mirror_that_hears_nothing_any_more_does_not_call_itself_fresh(fallback: Outage) -> None:
    fallback.done("POST", "vehicles", a_vehicle(parc="920"))
    fallback.wait_for_mirror()
    fallback.line.silence()
    fallback.api.sql("DELETE FROM vehicle")
    deleted = datetime.now(UTC)
    fallback.cut()

    answer = fallback.send("GET", "vehicles/920")

    assert answer.status_code == 200
    assert moment(answer.headers["X-Data-As-Of"]) < deleted


def test_a_line_that_dies_in_the_middle_of_a_look_does_not_keep_the_journal_waiting(
    line: Proxy, postgres: EmbeddedPostgres, own_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the look asked was swallowed by a black hole: no answer to it will ever come."""
    usual(monkeypatch, "fallback.feed.PATIENCE")
    with outage(line, postgres.url(own_database), tmp_path / "backups", database_timeout=5) as found:
        with held(found.api.database_url, "LOCK TABLE member") as lock:
            found.api.sql("INSERT INTO vehicle (parc) VALUES ('920')")
            until(lock.waiting, "the look to wait for the lock")
            line.become("black hole")
        taken = found.done("POST", "vehicles", a_vehicle(parc="921"))

        found.heal()

        assert taken.status_code == 202
        assert found.send("GET", "vehicles/921").status_code == 200


def test_a_refresh_that_ends_in_the_middle_of_an_outage_drops_nothing_that_memory_took(fallback: Outage) -> None:
    """Its own connection lives on while no other can be had: what it read is from before the write."""
    fallback.done("POST", "vehicles", a_vehicle(parc="920"))
    fallback.wait_for_mirror()
    with ExitStack() as outage_of_the_others:
        lock = outage_of_the_others.enter_context(held(fallback.api.database_url, "LOCK TABLE member"))
        fallback.api.sql("INSERT INTO vehicle (parc) SELECT 'X' || n FROM generate_series(1, 100) AS n")
        until(lock.waiting, "the refresh to wait for the lock")
        outage_of_the_others.enter_context(crowded(fallback.api.database_url))

        taken = fallback.send("PATCH", "vehicles/920", {"etat": "en panne"})
        lock.release()
        until(lambda: not lock.waiting(), "the refresh to end")
        shown = [fallback.send("GET", "vehicles/920") for _ in range(20)]

    assert taken.status_code == 202
    assert {(source(one), one.json()["etat"]) for one in shown} == {("memory", "en panne")}
    until(fallback.is_over, "the return to Postgres")
    assert fallback.send("GET", "vehicles/920").json()["etat"] == "en panne"


@contextmanager
def crowded(url: str) -> Iterator[None]:
    """While open, the service has no connection but the one that waits for a lock, and cannot have another."""
    ended = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE application_name = 'retrobus' AND datname = current_database() AND wait_event_type IS DISTINCT FROM 'Lock'"""
    with asyncio.Runner() as runner:
        taken = [runner.run(asyncpg.connect(url, timeout=LONGEST))]

        def is_full() -> bool:
            """Takes what is free; whether the service had nothing, so that from now on it gets nothing."""
            with suppress(asyncpg.TooManyConnectionsError):
                while True:
                    taken.append(runner.run(asyncpg.connect(url, timeout=LONGEST)))
            return not runner.run(taken[0].fetch(ended))

        try:
            until(is_full, "every connection to be taken")
            yield
        finally:
            for connection in taken:
                connection.terminate()


def test_one_lost_connection_changes_nothing(fallback: Outage) -> None:
    fallback.done("POST", "vehicles", a_vehicle(parc="920"))
    assert end_connections(fallback.api) > 0

    answers = [fallback.send("GET", "vehicles/920"), fallback.send("PATCH", "vehicles/920", {"etat": "réparé"})]

    assert [(one.status_code, source(one)) for one in answers] == [(200, "postgres")] * 2


def test_the_log_tells_of_the_outage_in_the_words_of_the_runbook(
    line: Proxy, postgres: EmbeddedPostgres, own_database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with outage(line, postgres.url(own_database), tmp_path, log_level="info") as found:
        found.cut()
        found.done("POST", "vehicles", a_vehicle(parc="920"))
        found.done("PATCH", "vehicles/920", {"etat": "en panne"})
        found.done("POST", "events", an_event(id="sortie"))
        found.done("DELETE", "events/sortie")
        found.heal()

    log = capsys.readouterr().err
    told = [
        "✅ PostgreSQL initialisé - DATABASE_URL valide",
        "🧠 PostgreSQL indisponible - réponses depuis la mémoire",
        "🧠 Vehicle créé en mémoire: 920",
        "🧠 Vehicle modifié en mémoire: 920",
        "🧠 Event créé en mémoire: sortie",
        "🧠 Event supprimé en mémoire: sortie",
        "✅ Retour à PostgreSQL",
    ]
    places = [log.index(text) for text in told]
    assert places == sorted(places)
