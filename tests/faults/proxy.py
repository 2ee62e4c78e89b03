"""A TCP proxy between the service and Postgres that breaks the line in the ways lines break."""

import asyncio
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from socket import SO_LINGER, SOL_SOCKET
from typing import Any, Literal

from harness import LONGEST

Mode = Literal["pass", "black hole", "refuse", "reset"]
Side = Literal["before", "after"]

COMMIT = b"COMMIT\0"
"""Ends the message that asks for a commit, and the one that confirms it."""

WRITES = (b"WITH opened", b"INSERT 0 1\0", b"UPDATE 1\0", b"DELETE 1\0", b"SELECT 1\0")
"""How a write that commits by itself begins when it is prepared, and how the server says that it is done."""


def nothing() -> None:
    """What happens by default between a COMMIT and its cut."""


class _Line:
    """One connection of the service and the one to Postgres that stands for it."""

    def __init__(self, client: StreamWriter) -> None:
        self.client = client
        self.server: StreamWriter | None = None
        self.silent = False
        self.prepared = False
        """Whether the service prepared a write that commits by itself on this line."""

        self.runs = False
        """Whether the last that the service sent was to run one."""

        self.commits = False
        """Whether the service asked for a COMMIT of its own; the driver's transactions say `COMMIT;`."""

    def is_writing(self, side: Side, chunk: bytes) -> bool:
        """Whether the chunk runs a write that commits by itself, or says that one is done.

        The driver prepares a statement in a message of its own and runs it in a later one (`E`, Execute).
        """
        if side == "after":
            return self.runs and any(done in chunk for done in WRITES[1:])
        prepared, self.prepared = self.prepared, self.prepared or WRITES[0] in chunk
        self.runs = prepared and b"E\0\0\0\t\0" in chunk
        return self.runs

    def reset(self) -> None:
        """Ends the service's side as a machine that crashed and came back does; Postgres's side stays as it is."""
        self.client.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.client.transport.abort()

    def close(self) -> None:
        """Ends both sides."""
        self.client.transport.abort()
        if self.server is not None:
            self.server.transport.abort()


class Proxy:
    """Passes everything on until it is told otherwise; what is told holds when the call returns."""

    def __init__(self, server_port: int, loop: asyncio.AbstractEventLoop) -> None:
        self.port = 0
        self.arrivals = 0
        self.cuts = 0
        self.delay = 0.0
        """Seconds by which every answer of the server comes later."""

        self._server_port = server_port
        self._loop = loop
        self._mode: Mode = "pass"
        self._lines: dict[_Line, asyncio.Task[None] | None] = {}
        self._cut: tuple[Side, Callable[[], object]] | None = None
        self._cut_alone: tuple[Side, Callable[[], object]] | None = None
        self._listener: asyncio.Server | None = None

    def url(self, database: str, user: str = "postgres") -> str:
        """The database, through this proxy."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def become(self, mode: Mode) -> None:
        """Treats every line so: those that are there, and those to come."""
        self._run(self._become(mode))

    def silence(self) -> None:
        """Lets the lines that are there hang for ever; those to come are not touched."""
        self._run(self._silence())

    def cut_commit(self, side: Side, meanwhile: Callable[[], object] = nothing) -> None:
        """Cuts the next COMMIT: before Postgres gets it, or after its answer and before the service gets that.

        `meanwhile` happens while the service waits. Postgres does not notice the cut by itself.
        """
        self._cut = (side, meanwhile)

    def cut_write(self, side: Side, meanwhile: Callable[[], object] = nothing) -> None:
        """Cuts the next write that commits by itself: before Postgres runs it, or after it was done."""
        self._cut_alone = (side, meanwhile)

    def _run(self, step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(LONGEST)

    def lead_to(self, server_port: int) -> None:
        """From now on connections go to this server, as after a failover."""
        self._server_port = server_port

    async def open(self) -> None:
        """Starts to listen, on the same port each time."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Ends the listening and every line."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for line in self._lines:
            line.close()

    async def end(self) -> None:
        """Closes, and waits until all is closed."""
        await self.close()
        await asyncio.gather(*(task for task in self._lines.values() if task), return_exceptions=True)

    async def _become(self, mode: Mode) -> None:
        self._mode = mode
        if mode == "refuse":
            await self.close()
        elif self._listener is None:
            await self.open()
        for line in self._lines:
            if mode == "reset":
                line.reset()
            line.silent = line.silent or mode == "black hole"

    async def _silence(self) -> None:
        for line in self._lines:
            line.silent = True

    async def _serve(self, reader: StreamReader, client: StreamWriter) -> None:
        self.arrivals += 1
        line = _Line(client)
        self._lines[line] = asyncio.current_task()
        line.silent = self._mode == "black hole"
        try:
            if self._mode == "reset":
                line.reset()
                return
            answers, line.server = await asyncio.open_connection("127.0.0.1", self._server_port)
            await asyncio.gather(
                self._pump_to_the_end(line, reader, line.server, "before"),
                self._pump_to_the_end(line, answers, client, "after"),
            )
        except OSError:
            pass  # no server listens
        finally:
            line.close()
            del self._lines[line]

    async def _pump_to_the_end(self, line: _Line, reader: StreamReader, writer: StreamWriter, side: Side) -> None:
        try:
            await self._pump(line, reader, writer, side)
        except OSError:
            line.close()  # one side is gone, so both go

    async def _pump(self, line: _Line, reader: StreamReader, writer: StreamWriter, side: Side) -> None:
        while chunk := await reader.read(65536):
            if line.silent:
                continue
            line.commits = line.commits or (side == "before" and COMMIT in chunk)
            if self._cut is not None and self._cut[0] == side and line.commits and COMMIT in chunk:
                (_, meanwhile), self._cut = self._cut, None
                await self._hold(line, meanwhile)
                continue
            writing = line.is_writing(side, chunk)
            if self._cut_alone is not None and self._cut_alone[0] == side and writing:
                (_, meanwhile), self._cut_alone = self._cut_alone, None
                await self._hold(line, meanwhile)
                continue
            if self.delay and side == "after":
                self._loop.call_later(self.delay, writer.write, chunk)
                continue
            writer.write(chunk)
        if not line.silent:
            raise ConnectionResetError

    async def _hold(self, line: _Line, meanwhile: Callable[[], object]) -> None:
        line.silent = True
        self.cuts += 1
        await asyncio.to_thread(meanwhile)
        line.reset()


@contextmanager
def proxy(server_port: int) -> Iterator[Proxy]:
    """A proxy on a free port before the Postgres on that port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    found = Proxy(server_port, loop)
    try:
        asyncio.run_coroutine_threadsafe(found.open(), loop).result(LONGEST)
        yield found
        asyncio.run_coroutine_threadsafe(found.end(), loop).result(LONGEST)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
