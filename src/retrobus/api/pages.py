"""The pages that show the reference, Swagger UI and ReDoc: their files come from a package, not from the internet."""

from fastapi import FastAPI, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html
from starlette.staticfiles import StaticFiles

ASSETS = "/docs/assets"
ICON = f"{ASSETS}/fastapi/favicon.png"


def add_pages(app: FastAPI) -> None:
    """Adds /docs, /redoc and the files that they load."""
    app.mount(ASSETS, StaticFiles(packages=[("fastapi_standalone_docs", "static")]), name="docs-assets")

    async def swagger() -> Response:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title=app.title,
            swagger_js_url=f"{ASSETS}/swagger/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger/swagger-ui.css",
            swagger_favicon_url=ICON,
            swagger_ui_parameters={"validatorUrl": None},
        )

    async def redoc() -> Response:
        return get_redoc_html(
            openapi_url="/openapi.json",
            title=app.title,
            redoc_js_url=f"{ASSETS}/redoc/redoc.standalone.js",
            redoc_favicon_url=ICON,
            with_google_fonts=False,
        )

    app.add_api_route("/docs", swagger, include_in_schema=False)
    app.add_api_route("/redoc", redoc, include_in_schema=False)
