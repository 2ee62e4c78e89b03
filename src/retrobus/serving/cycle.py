"""One request and its answer on a connection."""

from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent


class Cycle(RequestResponseCycle):
    """uvicorn's request and answer. It prevents that uvicorn closes the connection before the client read the answer.

    `EndingConnection` ends the connection instead, with the pause that the answer needs.
    """

    last = False
    """Whether the connection ends with this answer; before the answer starts, this makes it say `Connection: close`."""

    _broken_off = False

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
        return super().send(message) if self.response_started else self._start(message)

    async def _start(self, message: "ASGISendEvent") -> None:
        """Sends the head of the answer.

        An answer that comes before its whole request is the last one: the bytes that follow are the rest of this
        request, and must not be read as another.
        """
        if self.last or self.more_body:
            self.keep_alive = False
        await super().send(message)
        if self.response_started:
            self.last, self.keep_alive = (
                not self.keep_alive,
                True,
            )  # with False uvicorn closes at once, and the answer may be lost
