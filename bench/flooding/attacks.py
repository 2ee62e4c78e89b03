"""What hostile clients do to a port: each attack opens connections, keeps at it until it is cancelled, and counts."""

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Target:
    """The service under attack, a manager's token, and what the attackers saw."""

    port: int
    token: str
    seen: Counter[str] = field(default_factory=Counter)

    async def connect(self, *, deaf: bool = False) -> Line:
        """A connection; a deaf one has the smallest buffer that the kernel gives, and its owner does not read."""
        wire = socket.socket()
        wire.setblocking(False)
        if deaf:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        await asyncio.get_running_loop().sock_connect(wire, ("127.0.0.1", self.port))
        return await asyncio.open_connection(sock=wire, limit=1024 if deaf else 1 << 16)

    def head(self, method: str, path: str, *lines: str) -> bytes:
        """The head of a request that would be served."""
        told = [f"{method} {path} HTTP/1.1", "Host: a", f"Authorization: Bearer {self.token}", *lines, "", ""]
        return "\r\n".join(told).encode()

    async def answer(self, line: Line) -> None:
        """Notes the status that comes, or that the connection ends without one."""
        try:
            async with asyncio.timeout(60):  # wait_for of Python 3.11 may swallow the end of the attack
                first = await line[0].readline()
            self.seen[first[9:12].decode() or "cut"] += 1
        except (OSError, TimeoutError) as error:
            self.seen["nothing" if isinstance(error, TimeoutError) else "cut"] += 1


Attack = Callable[[Target], Awaitable[None]]


async def crowd(count: int, one: Callable[[], Coroutine[None, None, None]], *, spread: float = 2.0) -> None:
    """So many at once, over and over, each some time after the one before; ends only when it is cancelled."""

    async def again(place: int) -> None:
        await asyncio.sleep(spread * place / count)
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                await one()
            await asyncio.sleep(0.5)

    async with asyncio.TaskGroup() as group:
        for place in range(count):
            group.create_task(again(place))


async def send(target: Target, parts: list[bytes], pause: float, *, repeat: bool = True) -> None:
    """Sends the parts with pauses, the last one again and again; notes the answer and hangs up."""
    line = await target.connect()
    reply = asyncio.create_task(target.answer(line))
    try:
        for part in parts:
            line[1].write(part)
            await line[1].drain()
        while repeat and not reply.done():
            line[1].write(parts[-1])
            await line[1].drain()
            await asyncio.sleep(pause)
        await reply
    finally:
        reply.cancel()
        line[1].close()


async def hold(target: Target, request: bytes) -> None:
    """Asks and reads nothing until the service hangs up."""
    line = await target.connect(deaf=True)
    try:
        line[1].write(request)
        await line[1].drain()
        line[1].transport.pause_reading()  # type: ignore[attr-defined]  # a reading transport has it
        target.seen["held"] += 1
        while not line[1].is_closing():
            await asyncio.sleep(1)
            line[1].write(b"")
    finally:
        line[1].transport.abort()


async def header_flood(target: Target) -> None:
    """Heads without an end."""
    await crowd(50, lambda: send(target, [target.head("GET", "/health")[:-2], b"X-A: " + b"a" * 8000 + b"\r\n"], 0.02))


async def slow_heads(target: Target) -> None:
    """A byte of a head each second."""
    await crowd(1000, lambda: send(target, [target.head("GET", "/health")[:-2], b"X"], 1.0))


async def huge_bodies(target: Target) -> None:
    """Bodies of ten gigabytes, as fast as they are taken, half of them without saying how long they are."""
    told = target.head("POST", "/api/vehicles", "Content-Type: application/json", "Content-Length: 10000000000")
    chunked = target.head("POST", "/api/events", "Content-Type: application/json", "Transfer-Encoding: chunked")
    chunk = b"10000\r\n" + b"a" * 65536 + b"\r\n"
    async with asyncio.TaskGroup() as group:
        group.create_task(crowd(20, lambda: send(target, [told, b"a" * 65536], 0.02)))
        group.create_task(crowd(20, lambda: send(target, [chunked, chunk], 0.02)))


async def slow_bodies(target: Target) -> None:
    """A byte of a body each second."""
    head = target.head("POST", "/api/vehicles", "Content-Type: application/json", "Content-Length: 1000000")
    await crowd(500, lambda: send(target, [head, b"a"], 1.0))


async def slow_readers(target: Target) -> None:
    """Lists and images of 5 MB that are asked for and not read."""
    async with asyncio.TaskGroup() as group:
        for count, path in ((250, "/api/events"), (50, "/public/vehicles/IMAGE/image")):
            request = target.head("GET", path)
            group.create_task(crowd(count, lambda request=request: hold(target, request), spread=10.0))  # type: ignore[misc]


async def slow_streams(target: Target) -> None:
    """Streams of all that there is, which are not read."""
    await crowd(200, lambda: hold(target, target.head("GET", "/api/changes/stream")), spread=4.0)


async def connections(target: Target) -> None:
    """Connections on which nothing is said."""

    async def silent() -> None:
        line = await target.connect()
        target.seen["opened"] += 1
        await line[0].read()
        line[1].close()

    await crowd(5000, silent, spread=5.0)


async def streams(target: Target) -> None:
    """More streams than one process serves, each read to its end."""

    async def one() -> None:
        line = await target.connect()
        line[1].write(target.head("GET", "/public/changes/stream"))
        await target.answer(line)
        with suppress(OSError):
            while await line[0].read(65536):
                pass
        line[1].close()

    await crowd(800, one, spread=5.0)


async def exports(target: Target) -> None:
    """Whole tables as CSV, many at a time, some of them left in the middle."""

    async def one() -> None:
        line = await target.connect()
        line[1].write(target.head("GET", "/api/events.csv"))
        await target.answer(line)
        await line[0].read(100_000)
        line[1].close()

    await crowd(40, one)


ATTACKS: dict[str, Attack] = {
    "50 heads without an end": header_flood,
    "1,000 slow heads": slow_heads,
    "40 bodies of 10 GB": huge_bodies,
    "500 slow bodies": slow_bodies,
    "300 who read no list or image": slow_readers,
    "200 who read no stream": slow_streams,
    "5,000 silent connections": connections,
    "800 streams": streams,
    "40 exports": exports,
}
