"""The answers of routes: what a document or a page of the store becomes over HTTP, and what the reference says."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response

from retrobus.api.conditions import already_has
from retrobus.api.queries import cursor_of, next_page
from retrobus.api.reference_shapes import reference_to
from retrobus.http.problems import json_line, origin_headers
from retrobus.store.contract import Document, Page

JSON = "application/json"
BINARY = {"type": "string", "format": "binary"}
Result = Document | Page | Response
"""What the function of a route returns."""


@dataclass(frozen=True)
class Answer:
    """What a route answers when all is well.

    `schema` names the component that describes the body; None for a text. `row`: the answer is one row, so it has an
    ETag; `created`: 201 with the new row's address; `paged`: the answer is a page of a list, under `name` for members
    and bare for the public. `stored` is false for routes that do not ask the store. `not_ready` describes a 503 with
    the same body. `media` is the type of a body that is neither JSON nor plain text. `tagged`: the route's function
    gives the answer an ETag, and answers 304 to a reader who has it. `redirects` says what a 302 means. `file`:
    the answer is every row of a list, as a file with a name. `made`: 201 for what has no address of its own.
    """

    schema: str | None
    row: bool = False
    created: bool = False
    paged: bool = False
    name: str | None = None
    stored: bool = True
    not_ready: str | None = None
    media: str | None = None
    tagged: bool = False
    redirects: str | None = None
    file: bool = False
    made: bool = False

    @property
    def has_etag(self) -> bool:
        """Whether the answer carries an ETag."""
        return self.row or self.tagged

    @property
    def status(self) -> int:
        """The status of success."""
        return 201 if self.created or self.made else 200

    def response(self, result: Result, request: Request) -> Response:
        """The response for what the route's function returned."""
        if isinstance(result, Document):
            return self._one(result, request)
        return self._page(result, request) if isinstance(result, Page) else result

    def _one(self, found: Document, request: Request) -> Response:
        """One row, or `{"ok": true}`; 304 to a reader who has the row already; 202 if PostgreSQL lacks it still."""
        status, headers = self.status, origin_headers(found.origin)
        if found.durability is not None:
            status, headers["X-Durability"] = 202, found.durability
        if not self.row:
            return Response('{"ok": true}\n', status, headers, JSON)
        headers |= {"ETag": found.etag, "Cache-Control": "no-cache"}
        if self.created:
            headers["Location"] = f"{request.scope['path']}/{quote(found.key, safe='')}"
        if already_has(request, found.etag):
            return Response(status_code=304, headers=headers)
        return Response(found.json + b"\n", status, headers, JSON)

    def _page(self, page: Page, request: Request) -> Response:
        """A page of a list, with the address of the next page in Link."""
        headers = {"Cache-Control": "no-cache", **origin_headers(page.origin)}
        cursor = None if page.next is None else cursor_of(page.next)
        if cursor is not None:
            headers["Link"] = next_page(request, cursor)
        return Response(b"".join(self._around(page.documents, cursor)), 200, headers, JSON)

    def _around(self, documents: list[bytes], cursor: str | None) -> tuple[bytes, ...]:
        """The parts of a page's body; one join of them copies the rows once."""
        rows = b",".join(documents)
        if self.name is None:
            return b"[", rows, b"]\n"
        return f'{{"{self.name}":['.encode(), rows, f'],"nextCursor":{json.dumps(cursor)}}}\n'.encode()

    def described(self, status: int, description: str = "Done.") -> dict[str, Any]:
        """What the reference says of the answer with this status."""
        media, shape = ("text/plain", {"type": "string"}) if self.schema is None else (JSON, reference_to(self.schema))
        if self.media is not None:
            media, shape = self.media, BINARY if self.media.startswith("image/") else shape
        found = {"description": description, "headers": self._headers(status)}
        return found if status in {302, 304} else found | {"content": {media: {"schema": shape}}}

    def _headers(self, status: int) -> dict[str, Any]:
        found = REQUEST_ID | (ORIGIN if self.stored else {})
        if self.paged:
            return found | LINK
        found |= ETAG if self.has_etag else {}
        found |= FILE_NAME if self.file else {}
        found |= LOCATION if self.created else {}
        if status == 302:
            return REQUEST_ID | ORIGIN | ELSEWHERE
        return found | (DURABILITY if status == 202 else {})


def row(schema: str) -> Answer:
    """One row."""
    return Answer(schema, row=True)


def created(schema: str) -> Answer:
    """The new row, with its address."""
    return Answer(schema, row=True, created=True)


def listing(schema: str, name: str | None = None) -> Answer:
    """A page of a list."""
    return Answer(schema, paged=True, name=name)


DONE = Answer("Done")
"""`{"ok": true}`, for a write that has no row to show."""


def answered(value: dict[str, Any], headers: dict[str, str] | None = None, status: int = 200) -> Response:
    """JSON that no cache may keep: it depends on the caller or on the moment."""
    return Response(json_line(value), status, {"Cache-Control": "no-store", **(headers or {})}, JSON)


def header(description: str, *, always: bool = False, **schema: Any) -> dict[str, Any]:
    """What the reference says of a header of an answer."""
    return {"description": description, "required": always, "schema": {"type": "string", **schema}}


REQUEST_ID = {"X-Request-Id": header("The request's id, the client's own if it sent one.", always=True)}
ORIGIN = {
    "X-Data-Source": header("Who answers.", always=True, enum=["postgres", "memory", "token"]),
    "X-Data-As-Of": header("From memory: until when PostgreSQL was heard.", format="date-time"),
    "X-Data-Origin": header("From memory: what it was filled from."),
}
ETAG = {"ETag": header("The version of what is answered, for If-Match and If-None-Match.", always=True)}
LINK = {"Link": header('The next page, if there is one: `<…>; rel="next"`.')}
FILE_NAME = {"Content-Disposition": header("The name under which a browser keeps the file.", always=True)}
LOCATION = {"Location": header("The address of the new row.", always=True)}
ELSEWHERE = {"Location": header("The http or https address of the image.", always=True, format="uri")}
DURABILITY = {
    "X-Durability": header("Where the write is kept until PostgreSQL has it.", always=True, enum=["journal", "memory"])
}
