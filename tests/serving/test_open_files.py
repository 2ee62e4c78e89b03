"""Facts about the limit of open files: a low soft limit, as shells give it, does not bound the connections."""

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx

from harness import SECRET, Api, free_port, until

LIMIT = 64
PROGRAM = f"""import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, ({LIMIT}, hard))
from retrobus.cli import main; main()"""


def test_more_clients_are_served_than_the_soft_limit_of_open_files(database: str, tmp_path: Path) -> None:
    port = free_port()
    settings = {"DATABASE_URL": database, "JWT_SECRET": SECRET, "APP_ENV": "test", "PORT": str(port)}
    command = [sys.executable, "-c", PROGRAM, "serve"]
    service = subprocess.Popen(command, cwd=tmp_path, env=os.environ | settings, stderr=subprocess.DEVNULL)
    try:
        with ExitStack() as stack:
            clients = [stack.enter_context(Api(f"http://127.0.0.1:{port}", database)) for _ in range(2 * LIMIT)]
            until(lambda: _answers(clients[0]), "the service's first answer")

            statuses = [client.get("/health").status_code for client in clients]
    finally:
        service.kill()
        service.wait()

    assert statuses == [200] * len(clients)


def _answers(client: Api) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx.TransportError:
        return False
