"""Serves the files of the Studio, the page of the volunteers: a client of the API, with no right of its own."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from mimetypes import guess_type

from fastapi import FastAPI, Request, Response

from retrobus.api.conditions import already_has
from retrobus.http.problems import Problem

ADDRESS = "/studio/"
INDEX = "index.html"
PROTECTION = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
"""No code and no address from elsewhere; a browser keeps the files, but asks by their ETag before it uses them."""


@dataclass(frozen=True, slots=True)
class StudioFile:
    """One file of the page, as a browser gets it."""

    content: bytes
    media: str
    etag: str


def studio_files() -> dict[str, StudioFile]:
    """The files by name; a few kilobytes each, so they are read once."""
    return dict(_read())


def _read() -> Iterator[tuple[str, StudioFile]]:
    for path in files("retrobus.studio").iterdir():
        if path.is_file() and not path.name.endswith(".py"):
            content = path.read_bytes()
            media = guess_type(path.name)[0] or "application/octet-stream"
            media = media if media.startswith("image/") else f"{media}; charset=utf-8"
            yield path.name, StudioFile(content, media, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


def add_studio(app: FastAPI) -> None:
    """Adds the page and its files at /studio/; without this call the address is unknown."""
    found = studio_files()

    async def page(request: Request) -> Response:
        """The page. Its files have relative addresses: without the slash at its end, a browser is sent on.

        A relative Location also holds behind a proxy that puts a prefix before the path.
        """
        if not request.scope.get("raw_path", b"").endswith(b"/"):
            return Response(status_code=308, headers={"Location": "studio/", **PROTECTION})
        return _answer(found[INDEX], request)

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in found or request.scope.get("raw_path", b"").endswith(b"/"):
            raise Problem("unknown_route")
        return _answer(found[name], request)

    app.add_api_route("/studio", page, include_in_schema=False)
    app.add_api_route("/studio/{name}", file, include_in_schema=False)


def _answer(file: StudioFile, request: Request) -> Response:
    headers = {"ETag": file.etag, **PROTECTION}
    if already_has(request, file.etag):
        return Response(status_code=304, headers=headers)
    return Response(file.content, 200, headers, file.media)
