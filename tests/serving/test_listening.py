"""The service says where it listens, in the form in which a client writes the address."""

import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from harness import SECRET, Process, free_port, until
from retrobus.serving.listening import address_of

NOWHERE = "postgresql://postgres@127.0.0.1:1/retrobus"
LINE = "Service à l'écoute"


@pytest.mark.parametrize("arguments", [("--port", "0"), ("--port", "0", "--host", "::1")])
def test_the_address_that_the_log_tells_answers_also_if_the_system_chose_the_port(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    settings = {"JWT_SECRET": SECRET, "DATABASE_URL": NOWHERE, "LOG_FORMAT": "json"}
    running = Process(["serve", *arguments], tmp_path, settings)
    try:
        until(lambda: LINE in running.log, "the line that tells the address")
        [line] = [json.loads(text) for text in running.log.splitlines() if LINE in text]

        answer = httpx.get(f"{line['address']}/health", trust_env=False)
    finally:
        running.popen.kill()
        running.wait()

    assert answer.status_code == 200
    assert urlsplit(line["address"]).port != 0


def test_an_address_is_written_as_a_client_writes_it(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "s"
    with socket.create_server(("127.0.0.1", port)) as four, socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))

        assert address_of(four) == f"http://127.0.0.1:{port}"
        assert address_of(unix) == f"unix:{path}"
