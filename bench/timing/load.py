"""The load: 16 clients that each send a request as soon as they have the answer to the last one.

wrk makes the load where it is installed; otherwise clients in Python do, which take more of the processor.
"""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

from timing.collection import BODY, Workload

CONNECTIONS = 16
WRK = shutil.which("wrk")
SCRIPT = Path(__file__).parent / "load.lua"


class Slice(NamedTuple):
    """Requests per second, the median and the 99th percentile of their time in milliseconds, and answers 4xx or 5xx."""

    rate: float
    p50: float
    p99: float
    errors: int


def load(url: str, workload: Workload, token: str, seconds: float, connections: int = CONNECTIONS) -> Slice:
    """One slice of load on the server at `url`."""
    if WRK is not None:
        return _by_wrk([WRK, f"-c{connections}"], url, workload, token, seconds)
    return asyncio.run(by_clients(url, workload, token, seconds, connections))


def _by_wrk(wrk: list[str], url: str, workload: Workload, token: str, seconds: float) -> Slice:
    """One slice by wrk; its script prints the figures in one line."""
    asked = {"TOKEN": token, "BODY": BODY.decode() if workload.writes else "", "ETAG": workload.etag or ""}
    asked["KEYS"] = secrets.token_hex(8) if workload.keyed else ""
    size = ["-t1", f"-d{max(1, round(seconds))}s", "--timeout", "20s", "-s", str(SCRIPT)]
    command = [*wrk, *size, url + workload.path]
    done = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=True)
    figures = next(line for line in done.stdout.splitlines() if line.startswith("figures ")).split()[1:]
    requests, microseconds, p50, p99, errors = map(float, figures)
    return Slice(requests / microseconds * 1e6, p50 / 1e3, p99 / 1e3, round(errors))


@contextlib.asynccontextmanager
async def connection(port: int) -> AsyncIterator[Callable[[bytes], Any]]:
    """A kept-alive connection that sends one request and gives status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)

    async def ask(request: bytes) -> tuple[int, bytes]:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        sizes = head.lower().split(b"content-length: ")
        size = int(sizes[1].split(b"\r\n")[0]) if len(sizes) > 1 else 0
        return int(head[9:12]), await reader.readexactly(size)

    try:
        yield ask
    finally:
        writer.close()


def request(method: str, path: str, token: str, body: bytes = b"", **headers: str | None) -> bytes:
    """A request as bytes; `if_none_match="…"` is one of the further headers."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}"]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def by_clients(url: str, workload: Workload, token: str, seconds: float, connections: int) -> Slice:
    """One slice by clients in Python."""
    times: list[float] = []
    errors: list[int] = []
    began = time.perf_counter()

    async def timed(ask: Callable[[bytes], Any], text: bytes) -> Any:
        sent = time.perf_counter()
        status, answer = await ask(text)
        times.append(time.perf_counter() - sent)
        errors.extend([status] if status >= 400 else [])
        return answer

    async def one() -> None:
        async with connection(int(url.rpartition(":")[2])) as ask:
            while time.perf_counter() - began < seconds:
                if workload.writes:
                    key = secrets.token_hex(8) if workload.keyed else None
                    text = request("POST", workload.path, token, BODY, idempotency_key=key)
                    row = json.loads(await timed(ask, text))["id"]
                    await timed(ask, request("DELETE", f"{workload.path}/{row}", token, idempotency_key=key))
                else:
                    await timed(ask, request("GET", workload.path, token, if_none_match=workload.etag))

    await asyncio.gather(*(one() for _ in range(connections)))
    took, ordered = time.perf_counter() - began, sorted(times)
    p50, p99 = (ordered[int(len(ordered) * part)] * 1e3 for part in (0.5, 0.99))
    return Slice(len(ordered) / took, p50, p99, len(errors))
