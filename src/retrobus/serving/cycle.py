"""One request and its answer on a connection."""

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent


SMALL = 65_536
"""Bytes of a body that are worth a copy, so that head and body leave in one system call."""


class Collected(asyncio.Transport):
    """Stands in for the connection while uvicorn writes a head."""

    def __init__(self) -> None:
        super().__init__()
        self.head = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.head += data


class Joined(asyncio.Transport):
    """Stands in for the connection while uvicorn writes the first part of a body: the head goes before it."""

    def __init__(self, wire: asyncio.Transport, head: bytes) -> None:
        super().__init__()
        self._wire, self._head = wire, head

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if len(data) <= SMALL:
            self._wire.write(self._head + data)
        else:
            self._wire.write(self._head)
            self._wire.write(data)


class Cycle(RequestResponseCycle):
    """uvicorn's request and answer. It prevents that uvicorn closes the connection before the client read the answer.

    `EndingConnection` ends the connection instead, with the pause that the answer needs. The head of an answer waits
    for the first part of its body, because each packet costs a system call on both sides.
    """

    last = False
    """Whether the connection ends with this answer; before the answer starts, this makes it say `Connection: close`."""

    _broken_off = False
    _head: bytes | None = None
    """The head that waits for its body."""

    def break_off(self) -> None:
        """Tells the application that the rest of the body will never come; the application may still answer."""
        self._broken_off = True
        self.message_event.set()

    async def receive(self) -> "ASGIReceiveEvent":
        if self._broken_off:
            return {"type": "http.disconnect"}
        return await super().receive()

    def send(self, message: "ASGISendEvent") -> "Coroutine[Any, Any, None]":
        """Sends a part of the answer."""
        if not self.response_started:
            return self._start(message)
        return super().send(message) if self._head is None else self._begin_body(message, self._head)

    async def _start(self, message: "ASGISendEvent") -> None:
        """Sends the head of the answer.

        An answer that comes before its whole request is the last one: the bytes that follow are the rest of this
        request, and must not be read as another.
        """
        if self.last or self.more_body:
            self.keep_alive = False
        wire, self.transport = self.transport, Collected()
        try:
            await super().send(message)
            self._head = self.transport.head
        finally:
            self.transport = wire
        if self.response_started:
            self.last, self.keep_alive = (
                not self.keep_alive,
                True,
            )  # with False uvicorn closes at once, and the answer may be lost

    async def _begin_body(self, message: "ASGISendEvent", head: bytes) -> None:
        """Sends the head with the first part of the body; an answer to HEAD has no body."""
        wire, self._head = self.transport, None
        if self.scope["method"] == "HEAD":
            wire.write(head)
        else:
            self.transport = Joined(wire, head)
        try:
            await super().send(message)
        finally:
            self.transport = wire
