"""How the service reads a connection: heads are bounded in size and time, and one request comes at a time."""

import asyncio
from functools import partial
from typing import Any, cast

import httptools

from retrobus.serving.connection_end import IDLE_SILENCE, EndingConnection, State
from retrobus.serving.cycle import Cycle
from retrobus.serving.heads import decoded, lines_without_upgrade, plain
from retrobus.serving.unsent import reset

HEAD_BYTES = 65_536
"""Bytes after which an unfinished head is refused; a finished one over 16 KiB is refused by the edge."""

HEAD_DEADLINE = 15.0
"""Seconds within which a head must have arrived."""


class SecondRequestError(Exception):
    """A request began before the one before it was answered."""


class HttpConnection(EndingConnection):
    """uvicorn's reader of HTTP/1.1. It prevents that bytes of one request are read as another request.

    - An `Upgrade:` (h2c, WebSocket) is ignored and the body is read. The parser alone stops after such a head, and
      would take the body for the next request.
    - One request at a time: bytes that come before the answer are not read, and the connection ends after the answer.
      A proxy never sends such bytes, so a client cannot hide a second request in its first one.
    - The application answers bytes that are no HTTP, in the form, log and figures of every error.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.parser = httptools.HttpRequestParser(self)  # as strict as it is without uvicorn's leniencies
        self._in_head, self._received = True, 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.client = plain(self.client)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._lingering is not None:
            self._lingering.took(len(data))
        elif self._deaf:
            self.flow.pause_reading()
        else:
            self._read(data)

    def on_message_begin(self) -> None:
        if self._answering:
            self._end_after_answer()
            raise SecondRequestError
        self._unset_keepalive_if_required()
        self._in_head, self._begun, self._received = True, True, 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer comes after the body: read as a header it would escape the checks of the head
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._in_head = self._begun = False
        self._forget_deadline()
        address = httptools.parse_url(self.url)
        self.scope["method"] = self.parser.get_method().decode("ascii")
        self.scope["http_version"] = self.parser.get_http_version()
        self._serve(address.path or b"/", address.query or b"", keep_alive=self.parser.should_keep_alive())

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _read(self, data: bytes) -> None:
        unfinished = self._in_head
        self._feed(data)
        if self._deaf:
            return
        if unfinished and self._in_head:
            self._received += len(data)
            if self._received > HEAD_BYTES:
                self._refuse("headers_too_large")
        elif self._in_head and self._deadline is None:
            self._await_head()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            self._feed_without_upgrade(data[stopped.args[0] :])
        except httptools.HttpParserError:
            self._garbled()

    def _feed_without_upgrade(self, rest: bytes) -> None:
        """Reads the same head again without the headers at which the parser stops, then its body."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse("bad_request")
            return
        lines = [b"%b %b HTTP/%b" % (method, self.url, version), *lines_without_upgrade(self.headers), b"", rest]
        self.parser = httptools.HttpRequestParser(self)
        self._feed(b"\r\n".join(lines))

    def _garbled(self) -> None:
        """Ends a connection whose bytes are no HTTP; they may be the body of the request that is being answered."""
        if self._deaf:
            return
        if not self._answering:
            self._refuse("bad_request")
            return
        if self.cycle.more_body:
            self.cycle.break_off()
        self._end_after_answer()

    def _refuse(self, code: str) -> None:
        """Has the application answer with this error, because the bytes cannot be read as a request."""
        self._deaf = True
        self._forget_deadline()
        super().on_message_begin()
        self.scope["method"] = "(none)"
        self.scope["state"]["refusal"] = code
        self._serve(b"", b"", keep_alive=False)

    def _serve(self, path: bytes, query: bytes, *, keep_alive: bool) -> None:
        self.scope["raw_path"], self.scope["query_string"] = path, query
        self.scope["path"] = decoded(path)
        self.scope["state"]["cut"] = partial(reset, self.transport)
        self.cycle = Cycle(
            scope=self.scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive and self.scope["http_version"] == "1.1",
            on_response=self.on_response_complete,
        )
        self.cycle.last = cast("State", self.server_state).stopping
        self._start_asgi_task(self.cycle, self.app)

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_DEADLINE, self._end, IDLE_SILENCE)
