"""Whether the service lives, whether it is ready, and what it counts."""

import re
from collections.abc import Iterator

import pytest

import retrobus
from harness import Api, served, settings_for

NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
STATUS = {
    "ready",
    "database",
    "reason",
    "failover",
    "mode",
    "toggles",
    "revision",
    "durability",
    "journal",
    "conflicts",
    "snapshot",
}
ELSEWHERE = {"X-Forwarded-For": "203.0.113.5"}
TOKEN = "a-token-for-whoever-counts"


@pytest.fixture(scope="module")
def lost_api() -> Iterator[Api]:
    """The service without its Postgres, for whom METRICS_TOKEN was set."""
    with served(settings_for(NOWHERE, metrics_token=TOKEN), NOWHERE) as api:
        yield api


@pytest.mark.parametrize("path", ["/health", "/api/health"])
def test_the_service_lives_with_or_without_postgres(api: Api, lost_api: Api, path: str) -> None:
    answers = [api.get(path), lost_api.get(path)]

    assert [answer.status_code for answer in answers] == [200, 200]
    for found in (answer.json() for answer in answers):
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z", found.pop("time"))
        assert found == {"ok": True, "version": retrobus.__version__}


def test_the_service_is_ready_while_postgres_answers(api: Api) -> None:
    answer = api.get("/ready")

    found = answer.json()
    assert answer.status_code == 200
    assert found.keys() >= STATUS
    assert [found[name] for name in ("ready", "database", "mode", "conflicts")] == [True, "up", "strict", 0]
    assert found["toggles"] == dict.fromkeys(
        ("LOAD_BACKUP_AT_BOOT", "ENABLE_MEMORY_FALLBACK", "ENABLE_RUNTIME_STATE_SAVE"), False
    )
    assert found["durability"].keys() == {"fsync", "synchronous_commit", "standbys", "attached", "waiting", "reason"}
    assert found["journal"].keys() == {"entries", "oldest", "waiting"}
    assert found["snapshot"].keys() == {"age", "errors"}


def test_without_postgres_it_is_not_ready_and_says_so_under_the_same_keys(api: Api, lost_api: Api) -> None:
    lost = lost_api.get("/ready")

    assert lost.status_code == 503
    assert lost.json().keys() == api.get("/ready").json().keys()
    assert (lost.json()["ready"], lost.json()["database"]) == (False, "down")
    assert lost.json()["reason"] == "aucun serveur n'écoute à cette adresse (ConnectionRefusedError)"


def test_figures_are_for_this_machine(api: Api) -> None:
    api.get("/public/vehicles/920")

    near, far = api.get("/metrics"), api.get("/metrics", headers=ELSEWHERE)

    assert (near.status_code, far.status_code) == (200, 403)
    assert near.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert '/public/vehicles/{parc}"' in near.text


@pytest.mark.parametrize(
    ("given", "status"),
    [(f"Bearer {TOKEN}", 200), (f"Bearer {TOKEN}x", 403), ("Bearer", 403), ("Bearer é", 403), ("", 403)],
)
def test_a_client_with_the_token_reads_the_figures(lost_api: Api, given: str, status: int) -> None:
    headers = [*ELSEWHERE.items(), ("Authorization", given.encode())]

    answer = lost_api.get("/metrics", headers=headers)  # type: ignore[arg-type]  # bytes in one value

    assert answer.status_code == status
