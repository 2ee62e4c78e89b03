"""Facts about a service whose role in PostgreSQL lacks a right: it says so, and says which."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import a_vehicle
from harness import process, run_sql, until
from retrobus.cli import main

REVOKED = {
    "a table": "REVOKE INSERT ON vehicle FROM {role}",
    "the schema": "REVOKE USAGE ON SCHEMA public FROM {role}",
}


@pytest.fixture
def role(server: str, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Name and URL of a role that serves, with all its rights."""
    name = f"service_{os.urandom(5).hex()}"
    run_sql(database, f"CREATE ROLE {name} LOGIN PASSWORD 'x'", "REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    monkeypatch.setenv("DATABASE_URL", database)
    monkeypatch.setattr("sys.argv", ["retrobus", "db", "grant", "--role", name])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    rest = database.partition("://")[2].partition("@")
    yield name, f"postgresql://{name}:x@{rest[2] or rest[0]}"
    run_sql(database, f"DROP OWNED BY {name}")
    run_sql(server, f"DROP ROLE {name}")


@pytest.mark.parametrize("what", REVOKED)
def test_a_missing_right_is_503_with_its_own_code_and_not_ready(
    what: str, role: tuple[str, str], database: str, tmp_path: Path
) -> None:
    name, url = role
    with process(url, tmp_path) as (api, running):
        api.database_url = database
        admin = api.person("ADMIN").headers
        until(lambda: api.get("/ready").status_code == 200, "a ready service")
        run_sql(database, REVOKED[what].format(role=name))

        refused = api.post("/api/vehicles", json=a_vehicle(parc="920"), headers=admin)

        until(lambda: api.get("/ready").status_code == 503, "a service that is not ready")
        missing = api.get("/ready").json()["missingRights"]
        run_sql(database, REVOKED[what].format(role=name).replace("REVOKE", "GRANT").replace(" FROM ", " TO "))
        until(lambda: api.get("/ready").status_code == 200, "a ready service")
        created = api.post("/api/vehicles", json=a_vehicle(parc="920"), headers=admin)

    assert (refused.status_code, refused.json()["code"]) == (503, "database_rights")
    assert refused.json()["outcome"] == "not_applied"
    assert "Retry-After" in refused.headers
    assert len(missing) == 1
    assert missing[0].split()[-1] in running.log
    assert "retrobus db grant" in running.log
    assert created.status_code == 201
