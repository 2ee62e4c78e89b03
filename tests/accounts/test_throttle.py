"""A client that guesses passwords is slowed down, and no other client is."""

import asyncio
import json
import re
import tracemalloc
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

import accounts
from accounts import PASSWORD, an_account, email_of, log_in
from harness import LONGEST, Api, process, run_sql, until
from limits import clock_of
from retrobus.accounts import passwords, throttle
from retrobus.accounts.throttle import PER_ACCOUNT, PER_ADDRESS, PER_PAIR, WINDOW, Throttle
from routes import assert_refused

HERE, THERE = "203.0.113.7", "198.51.100.7"
RUNBOOK = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
WRONG = "un mauvais mot de passe"

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that cost nothing: these tests count hundreds of tries, whatever each of them takes."""
    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))
    monkeypatch.setattr(passwords, "_hashes", quick)
    monkeypatch.setattr(passwords, "_NO_PASSWORD", quick.hash("nothing fits"))
    monkeypatch.setattr(accounts, "HASH", quick.hash(PASSWORD))


def try_from(api: Api, address: str, name: str, password: str = WRONG) -> httpx.Response:
    return log_in(api, name, password, **{"X-Forwarded-For": address})


async def side_by_side(api: Api, tries: Iterator[tuple[str, str]]) -> list[httpx.Response]:
    """Sends wrong passwords for (name, address) all at once."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=api.base_url, timeout=LONGEST, limits=limits) as client:
        bodies = [({"email": name, "password": WRONG}, {"X-Forwarded-For": address}) for name, address in tries]
        return await asyncio.gather(*(client.post("/api/auth/login", json=b, headers=h) for b, h in bodies))


def test_an_address_that_guesses_an_account_waits_and_no_other_does(fresh_api: Api) -> None:
    person = an_account(fresh_api)
    email = email_of(fresh_api, person)

    wrong = [try_from(fresh_api, HERE, name) for name in [email, email.upper()] * (PER_PAIR // 2)]
    stopped = [try_from(fresh_api, HERE, email, password) for password in (WRONG, PASSWORD)]
    elsewhere = [try_from(fresh_api, THERE, email, password) for password in (WRONG, PASSWORD)]

    assert [answer.status_code for answer in wrong] == [401] * PER_PAIR
    for answer in stopped:
        assert_refused(answer, 429, "too_many_attempts")
        assert 0 < int(answer.headers["Retry-After"]) <= WINDOW + 1
        assert re.fullmatch(r"Trop de tentatives : réessayez dans \d+ (minute|seconde)s?\.", answer.json()["error"])
        assert "WWW-Authenticate" not in answer.headers
    assert [answer.status_code for answer in elsewhere] == [401, 200]
    assert fresh_api.get("/api/me", headers=person.headers).status_code == 200


def test_the_spelling_of_an_account_gives_no_more_tries(fresh_api: Api) -> None:
    person = an_account(fresh_api, email="alix.exemple@example.org", matricule="RB-é1")
    spelled = [
        "alix.exemple@example.org", " Alix.Exemple@EXAMPLE.org\u00a0", "\talix.exemple@example.org", "RB-\u00e91",
        "rb-e\u03011", "rB-\u00e91 ",
    ]  # fmt: skip

    wrong = [try_from(fresh_api, HERE, spelled[number % len(spelled)]) for number in range(PER_PAIR)]
    stopped = [try_from(fresh_api, HERE, name, PASSWORD) for name in spelled]
    elsewhere = [try_from(fresh_api, THERE, name, PASSWORD) for name in spelled]

    assert [answer.status_code for answer in wrong] == [401] * PER_PAIR
    for answer in stopped:
        assert_refused(answer, 429, "too_many_attempts")
    assert [answer.json()["user"]["id"] for answer in elsewhere] == [person.id] * len(spelled)


def test_logins_and_the_current_password_count_together(fresh_api: Api) -> None:
    person = an_account(fresh_api)
    for _ in range(PER_PAIR):
        try_from(fresh_api, HERE, email_of(fresh_api, person))

    body = {"currentPassword": PASSWORD, "newPassword": "un autre mot de passe"}
    answer = fresh_api.post("/api/auth/change-password", json=body, headers=person.headers | {"X-Forwarded-For": HERE})

    assert_refused(answer, 429, "too_many_attempts")


@pytest.mark.parametrize(
    "spelled", [("absent@example.org", " ABSENT@example.org "), ("Absent-\u00e9", "absent-e\u0301")]
)
def test_an_unknown_account_is_refused_like_a_known_one(fresh_api: Api, spelled: tuple[str, str]) -> None:
    wrong = [try_from(fresh_api, HERE, spelled[number % 2]) for number in range(PER_PAIR)]

    assert [answer.status_code for answer in wrong] == [401] * PER_PAIR
    assert [try_from(fresh_api, HERE, name).status_code for name in spelled] == [429, 429]


def test_a_name_that_is_the_id_of_a_member_is_not_that_account(fresh_api: Api) -> None:
    person = an_account(fresh_api)
    for _ in range(PER_PAIR):
        try_from(fresh_api, HERE, person.id)

    assert try_from(fresh_api, HERE, email_of(fresh_api, person), PASSWORD).status_code == 200


def test_other_accounts_of_that_address_are_not_stopped(fresh_api: Api) -> None:
    victim, other = (email_of(fresh_api, an_account(fresh_api)) for _ in range(2))

    for _ in range(PER_PAIR):
        try_from(fresh_api, HERE, victim)

    assert try_from(fresh_api, HERE, victim).status_code == 429
    assert try_from(fresh_api, HERE, other, PASSWORD).status_code == 200


def test_a_right_password_forgets_the_wrong_ones(fresh_api: Api) -> None:
    email = email_of(fresh_api, an_account(fresh_api))

    rounds = [[WRONG] * (PER_PAIR - 1) + [PASSWORD]] * 2
    answers = [try_from(fresh_api, HERE, email, password).status_code for each in rounds for password in each]

    assert answers == ([401] * (PER_PAIR - 1) + [200]) * 2


def test_passwords_sent_side_by_side_count_too(fresh_api: Api, run: Run) -> None:
    email = email_of(fresh_api, an_account(fresh_api))

    answers = run(side_by_side(fresh_api, iter([(email, HERE)] * 40)))

    statuses = [answer.status_code for answer in answers]
    assert PER_PAIR <= statuses.count(401) <= PER_PAIR + 1
    assert set(statuses) == {401, 429}


def test_an_address_that_tries_many_accounts_waits_too(fresh_api: Api, run: Run) -> None:
    email = email_of(fresh_api, an_account(fresh_api))

    run(side_by_side(fresh_api, ((f"membre.{number}@example.org", HERE) for number in range(PER_ADDRESS))))

    assert try_from(fresh_api, HERE, email, PASSWORD).status_code == 429
    assert try_from(fresh_api, THERE, email, PASSWORD).status_code == 200


def test_a_guess_from_everywhere_stops_all_but_where_the_account_has_logged_in(fresh_api: Api, run: Run) -> None:
    email = email_of(fresh_api, an_account(fresh_api))
    assert try_from(fresh_api, THERE, email, PASSWORD).status_code == 200

    guesses = run(side_by_side(fresh_api, ((email, f"192.0.2.{number}") for number in range(PER_ACCOUNT))))

    assert {answer.status_code for answer in guesses} == {401}
    assert try_from(fresh_api, HERE, email, PASSWORD).status_code == 429
    assert try_from(fresh_api, THERE, email, PASSWORD).status_code == 200


def test_the_current_password_is_guessed_no_faster(fresh_api: Api) -> None:
    person = an_account(fresh_api)
    headers = person.headers | {"X-Forwarded-For": HERE}

    def change(current: str) -> httpx.Response:
        body = {"currentPassword": current, "newPassword": "un autre mot de passe"}
        return fresh_api.post("/api/auth/change-password", json=body, headers=headers)

    wrong = [change(WRONG).status_code for _ in range(PER_PAIR)]

    assert wrong == [422] * PER_PAIR
    assert_refused(change(PASSWORD), 429, "too_many_attempts")
    assert fresh_api.get("/api/me", headers=headers).status_code == 200


def test_only_a_trusted_proxy_says_where_a_client_is(fresh_api: Api) -> None:
    email = email_of(fresh_api, an_account(fresh_api))
    with httpx.Client(base_url=fresh_api.base_url, transport=httpx.HTTPTransport(local_address="127.0.0.2")) as liar:
        body = {"email": email, "password": WRONG}
        addresses = [f"192.0.2.{number}" for number in range(PER_PAIR + 1)]

        answers = [liar.post("/api/auth/login", json=body, headers={"X-Forwarded-For": each}) for each in addresses]

    assert [answer.status_code for answer in answers] == [401] * PER_PAIR + [429]


SECRET = b"invented secret of the throttle's tests"


async def guessed(count: int, account: str = "a", address: str = HERE) -> Throttle:
    found = Throttle(SECRET)
    for _ in range(count):
        assert await found.admit(account, address) == 0
    return found


def test_the_addresses_of_one_ipv6_customer_count_as_one(run: Run) -> None:
    async def tries() -> list[float]:
        found = await guessed(PER_PAIR, address="2001:db8:1:2::1")
        return [await found.admit("a", where) for where in ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:3::1")]

    same, other = run(tries())

    assert same > 0
    assert other == 0


def test_ipv4_addresses_on_an_ipv6_socket_are_each_their_own(run: Run) -> None:
    async def tries() -> list[float]:
        found = Throttle(SECRET)
        for number in range(PER_ADDRESS):
            await found.admit(f"a{number}", f"::ffff:{HERE}")
        return [await found.admit("b", where) for where in (f"::ffff:{HERE}", HERE, f"::ffff:{THERE}")]

    mapped, plain, other = run(tries())

    assert min(mapped, plain) > 0
    assert other == 0


@pytest.mark.parametrize("address", ["", "unknown", "fe80::1%eth0", "_hidden", "192.0.2.1:443", "é", "1" * 5000])
def test_any_address_counts(address: str, run: Run) -> None:
    async def tries() -> list[float]:
        found = await guessed(PER_PAIR, address=address)
        return [await found.admit("a", where) for where in (address, HERE)]

    same, other = run(tries())

    assert same > 0
    assert other == 0


def test_a_refused_try_is_not_counted(run: Run) -> None:
    async def tries() -> list[float]:
        found = await guessed(PER_PAIR)
        refused = [await found.admit("a", HERE) for _ in range(PER_ADDRESS)]
        return [min(refused), await found.admit("b", HERE)]

    refused, other = run(tries())

    assert refused > 0
    assert other == 0


def test_the_wait_ends(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    clock = clock_of(monkeypatch, throttle)
    before = clock.monotonic()
    found = run(guessed(PER_PAIR))

    first = run(found.admit("a", HERE))
    took = clock.monotonic() - before
    clock.ahead = first

    assert WINDOW - took <= first <= WINDOW
    assert run(found.admit("a", HERE)) == 0


def held_by(module: ModuleType) -> int:
    """Bytes that the lines of a module hold: a service in this process holds memory, too."""
    lines = tracemalloc.Filter(inclusive=True, filename_pattern=str(module.__file__))
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([lines]).traces)


def test_memory_does_not_grow_with_the_number_of_guesses(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setattr(throttle, "REMEMBERED", 200)

    async def fill() -> list[int]:
        found, held = Throttle(SECRET), []
        tracemalloc.start()
        for number in range(3000):
            if number in {1000, 2999}:
                held.append(held_by(throttle))
            await found.admit(f"a{number}", f"2001:db8:{number:x}::1")
            await found.succeeded(f"b{number}", f"2001:db8:{number:x}::1")
        tracemalloc.stop()
        return held

    first, last = run(fill())

    assert last < 1.2 * first


def test_the_processes_of_a_service_count_together(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path, "--workers", "3") as (api, running):
        until(lambda: running.log.count("RétroBus API démarrée") == 3, "three processes")
        email = email_of(api, an_account(api))
        limits = httpx.Limits(max_keepalive_connections=0)  # each try on a new connection, to any of the processes
        with httpx.Client(base_url=api.base_url, timeout=LONGEST, limits=limits) as client:
            body = {"email": email, "password": WRONG}
            answers = [client.post("/api/auth/login", json=body).status_code for _ in range(PER_PAIR + 3)]
            counted = [requests_of(client.get("/metrics").text) for _ in range(6)]
        running.popen.terminate()  # in order, so that it removes the folder of its figures
        running.wait()

    assert answers == [401] * PER_PAIR + [429] * 3
    assert counted == sorted(counted)
    assert counted[0] >= PER_PAIR + 3


def requests_of(metrics: str) -> float:
    """All requests that were counted."""
    return sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("retrobus_requests_total{"))


def test_each_process_counts_by_itself_while_the_shared_count_cannot_be_asked(fresh_api: Api) -> None:
    email = email_of(fresh_api, an_account(fresh_api))
    fresh_api.sql("DROP TABLE login_throttle")

    answers = [
        try_from(fresh_api, HERE, email, PASSWORD),
        *(try_from(fresh_api, HERE, email) for _ in range(PER_PAIR + 1)),
    ]

    assert [answer.status_code for answer in answers] == [200, *[401] * PER_PAIR, 429]


def test_the_table_of_tries_tells_neither_account_nor_address(fresh_api: Api) -> None:
    email = email_of(fresh_api, an_account(fresh_api))
    try_from(fresh_api, HERE, email)

    rows = fresh_api.sql("SELECT key, tries FROM login_throttle")

    assert [row["tries"] for row in rows] == [1, 1, 1]
    assert all(len(row["key"]) == 16 for row in rows)


def test_the_log_tells_account_and_address_of_a_refusal_and_no_name(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path) as (api, running):
        person = an_account(api)
        email = email_of(api, person)
        names = [*[email] * (PER_PAIR + 1), *["absente@example.org"] * (PER_PAIR + 1)]
        names += [f"autre-{number}@example.org" for number in range(PER_ADDRESS - 2 * PER_PAIR + 1)]
        answers = [try_from(api, HERE, name).status_code for name in names]
        until(lambda: running.log.count("Trop de tentatives") == 3, "the lines of the log")

    lines = [json.loads(line) for line in running.log.splitlines() if "Trop de tentatives" in line]
    known, unknown, any_account = (line["account"] for line in lines)
    finding = re.search(r"```sql\n(SELECT id, email FROM member WHERE left.*?);", RUNBOOK)
    assert answers.count(429) == 3
    assert [line["address"] for line in lines] == [HERE] * 3
    assert finding is not None
    assert run_sql(database, finding[1].replace("1f2e3d4c5b6a", known)) == [(person.id, email)]
    assert re.fullmatch("inconnu-[0-9a-f]{12}", unknown)
    assert any_account == "-"
    assert "@" not in running.log


def test_an_unknown_name_has_the_same_alias_for_one_secret_only() -> None:
    names = ("a", "a", "b")

    first, again, other = (Throttle(SECRET).alias(name) for name in names)

    assert first == again != other
    assert Throttle(b"x" * 32).alias("a") != first
