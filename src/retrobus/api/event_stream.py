"""One open stream of changes, as Server-Sent Events."""

import asyncio
import json
import time
from collections.abc import Callable

from fastapi import Response
from starlette.types import Receive, Scope, Send

from retrobus.api.service import Service
from retrobus.changes.cursor import Scope as Told
from retrobus.changes.feed import Changes
from retrobus.changes.streams import POLL
from retrobus.http.problems import from_store, origin_headers
from retrobus.store.contract import POSTGRES, Caller
from retrobus.store.errors import Busy, StoreError

COMMENT = 15.0
"""Seconds after which a silent stream sends a comment and proves the caller's access again."""

PATIENCE = 10.0
"""Seconds that a reader may take no bytes before it is cut off."""

HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""A proxy that collected the answer would hold every change back."""


class EventStream(Response):
    """Promise: it ends within a moment when the service stops, the caller's access ends or PostgreSQL goes.

    It holds a place among the streams of the process, which it gives back when it ends.
    """

    media_type = "text/event-stream"

    def __init__(self, service: Service, told: Told, caller: Caller | None, first: Changes) -> None:
        super().__init__(headers=HEADERS | origin_headers(POSTGRES))
        del self.headers["content-length"]
        self._service, self._told, self._caller, self._found = service, told, caller, first
        self._woken = asyncio.Event()
        self._gone = False
        self._proved = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends head, changes and comments for as long as the client listens."""
        scope["state"]["on_end"] = self._leave
        leaving = asyncio.create_task(self._listen(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if not scope["state"].get("head"):
                await self._run(send)
            await self._send(send, b"", more=False)
        except TimeoutError:
            cut(scope)
        finally:
            leaving.cancel()
            self._service.streams.leave()

    async def _listen(self, receive: Receive) -> None:
        """Notes that the connection is lost."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._leave()

    def _leave(self) -> None:
        """The client has gone, or sends no more: a stream has no other end."""
        self._gone = True
        self._woken.set()

    async def _run(self, send: Send) -> None:
        streams = self._service.streams
        with streams.waking(self._woken):
            await self._send(send, b": bienvenue\n\n")
            await self._send(send, self._text(current=True))
            try:
                while not (self._gone or streams.stopping):
                    await self._turn_or_wait(send)
            except StoreError as error:
                await self._send(send, _problem(error))

    async def _turn_or_wait(self, send: Send) -> None:
        """A busy PostgreSQL is no reason to end: every stream would come again at once."""
        try:
            await self._turn(send)
        except Busy:
            self._woken.set()
            await asyncio.sleep(POLL)

    async def _turn(self, send: Send) -> None:
        """Reads on and sends what there is; a comment if nothing happened for long."""
        silent = False
        if not self._found.more:
            silent = await self._wait()
            if self._gone or self._service.streams.stopping:
                return
        if self._caller is not None and time.monotonic() - self._proved >= COMMENT:
            await self._service.streams.prove(self._caller)
            self._proved = time.monotonic()
        self._woken.clear()
        before = self._found
        self._found = await self._service.streams.page(self._told, before.cursor)
        moved = before.more or bool(self._found.items)
        text = self._text(current=moved)
        if moved or silent:
            await self._send(send, text or b": toujours l\xc3\xa0\n\n")
        if self._found.items:
            self._service.streams.told()

    async def _wait(self) -> bool:
        """Waits for something to happen; whether nothing did."""
        try:
            async with asyncio.timeout(COMMENT):
                await self._woken.wait()
        except TimeoutError:
            return True
        return False

    def _text(self, *, current: bool) -> bytes:
        """The events of the page, and the one that tells that the copy is whole."""
        found = self._found
        if not current or found.more:
            return found.events
        return found.events + found.mark + b"event: current\ndata: {}\n\n"

    async def _send(self, send: Send, body: bytes, *, more: bool = True) -> None:
        if body or not more:
            async with asyncio.timeout(PATIENCE):
                await send({"type": "http.response.body", "body": body, "more_body": more})


def _problem(error: StoreError) -> bytes:
    """The event that tells why the stream ends."""
    kind = from_store(error).kind
    told = {"code": kind.code, "status": kind.status, "title": kind.title}
    return f"event: problem\ndata: {json.dumps(told, ensure_ascii=False)}\n\n".encode()


def cut(scope: Scope) -> None:
    """Closes the connection of a reader that takes nothing: what it has not taken would stay in memory."""
    closed: Callable[[], None] | None = scope["state"].get("cut")
    if closed is not None:
        closed()
