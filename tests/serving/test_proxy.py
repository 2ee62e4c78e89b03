"""The reverse proxy of deploy/nginx.conf: a real nginx runs the file as it is."""

import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

import httpx
import pytest

from builders import a_vehicle
from harness import LONGEST, Api, Person, free_port, until
from rows import create, path_of

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
CONFIGURATION = Path(__file__).parents[2] / "deploy/nginx.conf"
MIB = 1 << 20

pytestmark = pytest.mark.skipif(
    NGINX is None or shutil.which("openssl") is None,
    reason="needs nginx and openssl (Debian: apt-get install nginx openssl)",
)

MAIN = """
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
daemon off;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{block}
}}
"""


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this test alone, and its key."""
    made, key = folder / "bus.example.org.pem", folder / "bus.example.org.key"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=bus.example.org"]
    subprocess.run([*command, "-keyout", key, "-out", made], check=True, capture_output=True, timeout=LONGEST)
    return made, key


@contextmanager
def nginx(service: Api, folder: Path) -> Iterator[httpx.Client]:
    """A client of the service through nginx, which runs our file; only ports and paths are this test's."""
    port, block = free_port(), CONFIGURATION.read_text(encoding="utf-8")
    made, key = certificate(folder)
    here = {
        "127.0.0.1:3001": f"127.0.0.1:{service.base_url.port}",
        "    listen [::]:80;\n": "",
        "    listen [::]:443 ssl http2;\n": "",
        "listen 80;": f"listen 127.0.0.1:{free_port()};",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/retrobus/fullchain.pem": str(made),
        "/etc/ssl/retrobus/key.pem": str(key),
    }
    for written, ours in here.items():
        assert block.count(written) == 1, written
        block = block.replace(written, ours)
    (folder / "nginx.conf").write_text(MAIN.format(user=getuser(), folder=folder, block=block))
    running = subprocess.Popen([str(NGINX), "-c", folder / "nginx.conf", "-e", folder / "error.log"])
    trusted = ssl.create_default_context(cafile=str(made))
    trusted.check_hostname = False
    try:
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trusted, timeout=LONGEST) as client:
            until(lambda: running.poll() is not None or _answers(client), "nginx")
            assert running.poll() is None, (folder / "error.log").read_text()
            yield client
    finally:
        running.terminate()
        running.wait(LONGEST)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/api/health").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def proxied(api: Api, tmp_path: Path) -> Iterator[httpx.Client]:
    with nginx(api, tmp_path) as client:
        yield client


def test_every_refusal_of_a_large_body_passes_the_proxy(proxied: httpx.Client, api: Api, manager: Person) -> None:
    member, image = api.person("MEMBER"), json.dumps(a_vehicle(backgroundImage="x" * (8 * MIB))).encode()
    asked: list[tuple[int, str, dict[str, str], bytes]] = [
        (413, "/api/events", manager.headers, b" " * (3 * MIB)),
        (413, "/api/vehicles", manager.headers, image),
        (401, "/api/events", {}, b" " * (3 * MIB)),
        (403, "/api/events", member.headers, b" " * (3 * MIB)),
        (415, "/api/events", {**manager.headers, "Content-Type": "text/csv"}, b" " * (3 * MIB)),
        (404, "/api/nowhere", manager.headers, b" " * (3 * MIB)),
    ]

    answers = [
        proxied.post(path, content=body, headers={"Content-Type": "application/json"} | headers)
        for _ in range(5)
        for _, path, headers, body in asked
    ]

    assert [answer.status_code for answer in answers] == [status for status, *_ in asked] * 5
    assert {answer.headers["Content-Type"] for answer in answers} == {"application/json"}


def test_an_image_of_several_megabytes_passes_the_proxy(proxied: httpx.Client, manager: Person) -> None:
    vehicle = a_vehicle(parc="1", backgroundImage="data:image/jpeg;base64," + "A" * (7 * MIB))

    assert proxied.post("/api/vehicles", json=vehicle, headers=manager.headers).status_code == 201


def test_an_etag_stays_strong_and_nothing_is_compressed(proxied: httpx.Client, api: Api, manager: Person) -> None:
    path = path_of("events", create(api, manager, "events", description="Balade commentée. " * 500))
    asked = manager.headers | {"Accept-Encoding": "gzip, br"}

    found = proxied.get(path, headers=asked)
    changed = proxied.patch(
        path, json={"title": "Autre"}, headers=manager.headers | {"If-Match": found.headers["ETag"]}
    )

    assert "Content-Encoding" not in found.headers
    assert found.headers["ETag"].startswith('"')
    assert changed.status_code == 200


def test_figures_are_not_for_the_proxy_s_clients(proxied: httpx.Client) -> None:
    assert proxied.get("/metrics").status_code == 404
