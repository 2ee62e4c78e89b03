"""Lists as CSV files: every row of one instant, sent as fast as the client reads.

The rows are first copied from the store into a file of the service (`retrobus.store.spool`), in one short transaction.
A slow reader thus holds no connection to PostgreSQL, and the answer begins when every row is there: if PostgreSQL goes
in the middle, the client is answered 503, and never a file that ends early but looks whole.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from unicodedata import normalize

from fastapi import Response
from starlette.types import Receive, Scope, Send

from retrobus.api.answers import Answer
from retrobus.api.calls import Call
from retrobus.api.event_stream import PATIENCE, cut
from retrobus.api.queries import FOREIGN, PAGING, filters_of, named_values
from retrobus.api.service import Service
from retrobus.http.problems import invalid, origin_headers
from retrobus.model.resources import Resource
from retrobus.sheets.csvtext import MEDIA, CsvText
from retrobus.sheets.dialects import DIALECTS, RFC_4180
from retrobus.store.contract import Origin, Query
from retrobus.store.spool import Spool

LONGEST = 900.0
"""Seconds after which a file is cut off, so that a slow reader gives its place back."""

SHEET = Answer(None, media="text/csv", file=True)
DIALECT = {
    "dialect": {
        "type": "string",
        "enum": list(DIALECTS),
        "default": RFC_4180.name,
        "description": (
            "`rfc4180`: commas, values as in JSON. `excel-fr`: semicolons, decimal commas, dates as DD/MM/YYYY, oui/non"
            " and a byte order mark. In both, a text that begins like a formula has an apostrophe in front."
        ),
    }
}
WHOLE = "inconnu ici : le fichier contient toutes les lignes"


async def sheet(call: Call, resource: Resource) -> Response:
    """Every row that the client asked for, as CSV."""
    asked = _asked(call)
    dialect = DIALECTS[asked.get("dialect", RFC_4180.name)]
    query = Query("list", filters_of(asked, call.route.filters))
    exports = call.service.exports
    exports.enter()
    spool = Spool()
    try:
        origin = await _copied(call, resource, query, spool)
    except BaseException:
        spool.close()
        exports.leave()
        raise
    return SheetFile(call.service, CsvText(resource, dialect), spool, _headers(resource, origin))


def _asked(call: Call) -> dict[str, str]:
    """The values of filters and dialect; a client that asks for pages would take each file for one."""
    for name in call.request.query_params:
        if name in FOREIGN or name in PAGING:
            raise invalid((name, WHOLE))
    asked = named_values(call.request, {*call.route.asks, *(one.name for one in call.route.filters)})
    if asked.get("dialect", RFC_4180.name) not in DIALECTS:
        raise invalid(("dialect", f"valeurs possibles : {', '.join(DIALECTS)}"))
    return asked


async def _copied(call: Call, resource: Resource, query: Query, spool: Spool) -> Origin:
    """Fills the spool; an answer to HEAD has no rows, so it takes none."""
    if call.request.scope["state"].get("head"):
        return (await call.store.find(resource, replace(query, limit=1), caller=call.who)).origin
    origin = await call.store.copy(resource, query, spool, caller=call.who)
    await spool.end()
    return origin


def _headers(resource: Resource, origin: Origin) -> dict[str, str]:
    kept = "".join(letter for letter in normalize("NFKD", resource.label) if letter.isascii())
    name = f"retrobus-{kept}-{datetime.now(UTC):%Y-%m-%d}.csv"
    return {
        "Content-Type": MEDIA,
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **origin_headers(origin),
    }


class SheetFile(Response):
    """One file on its way; it gives back its place and its spool when it ends."""

    def __init__(self, service: Service, text: CsvText, spool: Spool, headers: dict[str, str]) -> None:
        super().__init__(headers=headers)
        del self.headers["content-length"]
        self._service, self._text, self._spool = service, text, spool
        self._gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the rows; a reader that takes nothing for long is cut off, and sees that the file is not whole."""
        leaving = asyncio.create_task(self._listen(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            async with asyncio.timeout(LONGEST):
                parts = iter(()) if scope["state"].get("head") else self._parts()
                while part := await self._next(parts):
                    await _send(send, part, more=True)
            await _send(send, b"", more=False)
        except (TimeoutError, ConnectionResetError):
            cut(scope)
        finally:
            leaving.cancel()
            self._spool.close()
            self._service.exports.leave()

    async def _listen(self, receive: Receive) -> None:
        """Notes that the client has gone, so that the rest of its file is not written."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone = True

    async def _next(self, parts: Iterator[bytes]) -> bytes:
        """The next part, empty at the end. Other requests have their turn, which `send` gives to a slow reader only."""
        async with self._service.exports.turn:
            part = next(parts, b"")
            await asyncio.sleep(0)
        return part

    def _parts(self) -> Iterator[bytes]:
        yield self._text.head()
        for batch in self._spool.rows():
            if self._gone:
                raise ConnectionResetError
            yield self._text.rows(batch)


async def _send(send: Send, body: bytes, *, more: bool) -> None:
    async with asyncio.timeout(PATIENCE):
        await send({"type": "http.response.body", "body": body, "more_body": more})
