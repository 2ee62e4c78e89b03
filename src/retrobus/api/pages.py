"""The front door and the pages that show the reference: their files come from a package, not from the internet."""

import hashlib
from functools import cache

from fastapi import FastAPI, Request, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.staticfiles import StaticFiles

from retrobus.api.answers import answered
from retrobus.api.conditions import already_has
from retrobus.api.studio import ADDRESS as STUDIO
from retrobus.http.problems import json_line

ASSETS = "/docs/assets"
ICON = f"{ASSETS}/fastapi/favicon.png"
REFERENCE = "/openapi.json"


def add_pages(app: FastAPI, *, studio: bool) -> None:
    """Adds /, /openapi.json, /docs, /redoc and the files that they load; `studio` if / shows the way to that page."""
    app.mount(ASSETS, StaticFiles(packages=[("fastapi_standalone_docs", "static")]), name="docs-assets")

    async def front_door() -> Response:
        """Sends a browser to the reference, and shows a person with curl where to look."""
        links = {"docs": "/docs", "openapi": REFERENCE, "health": "/health", "ready": "/ready"}
        links |= {"studio": STUDIO} if studio else {}
        return answered({"name": app.title, "version": app.version} | links, {"Location": "/docs"}, 303)

    @cache
    def document() -> tuple[str, str]:
        text = json_line(app.openapi())
        return text, f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'

    async def reference(request: Request) -> Response:
        """The document, made once; a reader that has it is told so by its ETag."""
        text, etag = document()
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if already_has(request, etag):
            return Response(status_code=304, headers=headers)
        return Response(text, headers=headers, media_type="application/json")

    async def swagger() -> Response:
        return get_swagger_ui_html(
            openapi_url=REFERENCE,
            title=app.title,
            swagger_js_url=f"{ASSETS}/swagger/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger/swagger-ui.css",
            swagger_favicon_url=ICON,
            swagger_ui_parameters={"validatorUrl": None},
        )

    async def redoc() -> Response:
        return get_redoc_html(
            openapi_url=REFERENCE,
            title=app.title,
            redoc_js_url=f"{ASSETS}/redoc/redoc.standalone.js",
            redoc_favicon_url=ICON,
            with_google_fonts=False,
        )

    for path, page in (("/", front_door), (REFERENCE, reference), ("/docs", swagger), ("/redoc", redoc)):
        app.add_api_route(path, page, include_in_schema=False)
