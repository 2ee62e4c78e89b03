"""Facts about following a service through faults: an outage, a stop, and `retrobus follow` in a process of its own."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness import LONGEST, Api, Process, closed_to_all, process, run_sql, until

pytestmark = pytest.mark.faults
SHOWN = "INSERT INTO vehicle (parc, is_public) VALUES ('{}', true)"


@contextmanager
def following(api: Api, folder: Path, *options: str) -> Iterator[Process]:
    """`retrobus follow` with its copy in `copy.json`."""
    folder.mkdir(exist_ok=True)
    found = Process(["follow", "--base-url", str(api.base_url), "--into", "copy.json", *options], folder, {})
    try:
        yield found
    finally:
        found.popen.kill()
        found.wait()


def held(folder: Path) -> set[str]:
    """The vehicles of the copy."""
    path = folder / "copy.json"
    rows: dict[str, Any] = json.loads(path.read_text()).get("rows", {}) if path.exists() else {}
    return set(rows.get("Vehicle", {}))


@pytest.mark.parametrize("options", [(), ("--poll", "0.1")], ids=["stream", "pages"])
def test_follow_keeps_a_copy_through_a_restart_of_the_service(
    database: str, tmp_path: Path, options: tuple[str, ...]
) -> None:
    with process(database, tmp_path) as (api, first):
        run_sql(database, SHOWN.format("920"))
        with following(api, tmp_path / "copy", *options):
            until(lambda: held(tmp_path / "copy") == {"920"})
            first.popen.send_signal(signal.SIGTERM)
            first.wait()
            run_sql(database, SHOWN.format("921"), "DELETE FROM vehicle WHERE parc = '920'")
            port = str(api.base_url.port)
            again = Process(["serve"], tmp_path, {"DATABASE_URL": database, "JWT_SECRET": "x" * 40, "PORT": port})
            try:
                until(lambda: held(tmp_path / "copy") == {"921"})
                run_sql(database, "ALTER TABLE vehicle DISABLE TRIGGER USER", "DELETE FROM vehicle",
                        "ALTER TABLE vehicle ENABLE TRIGGER USER", SHOWN.format("922"),
                        # Last: a follower that reads everything again must not find what leaves no tombstone.
                        "UPDATE database_identity SET id = gen_random_uuid()")  # fmt: skip
                until(lambda: held(tmp_path / "copy") == {"922"})
                assert held(tmp_path / "copy") == {"922"}
            finally:
                again.popen.kill()
                again.wait()


def test_a_stop_ends_every_stream_in_good_order(database: str, tmp_path: Path) -> None:
    with process(database, tmp_path) as (api, running):
        ended = [threading.Event() for _ in range(20)]

        def listen(event: threading.Event) -> None:
            with httpx.stream("GET", f"{api.base_url}/public/changes/stream", timeout=LONGEST) as answer:
                for _ in answer.iter_bytes():  # raises if the answer is cut off before its end
                    pass
            event.set()

        for event in ended:
            threading.Thread(target=listen, args=(event,), daemon=True).start()
        until(lambda: api.metric("retrobus_followers") == 20)
        running.popen.send_signal(signal.SIGTERM)

        assert all(event.wait(LONGEST) for event in ended)
        assert running.wait() == -signal.SIGTERM


@pytest.mark.parametrize(
    ("fallback", "code"),
    [("false", "database_unavailable"), ("true", "memory_unavailable")],
    ids=["strict", "fallback"],
)
def test_while_postgresql_is_away_a_feed_answers_503_in_every_mode(
    database: str, tmp_path: Path, fallback: str, code: str
) -> None:
    with process(database, tmp_path, ENABLE_MEMORY_FALLBACK=fallback) as (api, _):
        api.get("/public/changes").raise_for_status()
        with httpx.stream("GET", f"{api.base_url}/public/changes/stream", timeout=LONGEST) as answer:
            lines = answer.iter_lines()
            assert "event: current" in lines
            with closed_to_all(database):
                assert any(f'"{code}"' in line for line in lines)
                for path in ("/public/changes", "/public/changes/stream"):
                    refused = api.get(path)
                    assert (refused.status_code, refused.json()["code"]) == (503, code)
                    assert "Retry-After" in refused.headers
        until(lambda: api.get("/public/changes").status_code == 200)
