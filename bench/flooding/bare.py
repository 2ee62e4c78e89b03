"""A bare listener in a process of its own: takes the attackers' connections and answers them, and does nothing else.

While the attackers attack it, the healthy client asks the service. What the client then waits is the price of the
machine: the attackers' own work and the kernel's, on the same processor.
"""

import asyncio
import json
import socket
import sys

import uvloop

MOST_HEAD, MOST_BODY = 65_536, 1 << 20
PART = b"a" * 65_536


class Bare(asyncio.Protocol):
    """One connection: the status and the number of bytes that the service would answer, without any work for them."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self._sizes = sizes
        self._head = b""
        self._body = 0
        self._answered = False
        self._line: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps the transport."""
        self._line = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Reads a head, then counts a body; what comes after an answer is thrown away."""
        if self._answered:
            return
        if b"\r\n\r\n" not in self._head:
            self._head += data
            if b"\r\n\r\n" in self._head:
                self._asked()
            elif len(self._head) > MOST_HEAD:
                self._answer("431", 0)
            return
        self._body += len(data)
        if self._body > MOST_BODY:
            self._answer("413", 0)

    def _asked(self) -> None:
        method, path = self._head.decode().split()[:2]
        if method == "GET":
            self._answer("200", self._sizes.get(path, 0), ends=not path.endswith("/stream"))
        elif b"Content-Length: 10000000000" in self._head:
            self._answer("413", 0)

    def _answer(self, status: str, size: int, *, ends: bool = True) -> None:
        self._answered = True
        if self._line is not None:
            self._line.write(f"HTTP/1.1 {status} -\r\nConnection: close\r\n\r\n".encode())
            self._line.writelines([PART] * (size // len(PART)) + [PART[: size % len(PART)]])
            if ends:
                self._line.write_eof()


async def listen(listener: socket.socket, sizes: dict[str, int]) -> None:
    """Listens until the process is stopped; tells its port when it does."""
    server = await asyncio.get_running_loop().create_server(lambda: Bare(sizes), sock=listener, backlog=2048)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


def main() -> None:
    """Listens at a free port of the loopback; its argument is JSON, the size of the answer for each path."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        uvloop.run(listen(listener, json.loads(sys.argv[1])))


if __name__ == "__main__":
    main()
