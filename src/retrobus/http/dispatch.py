"""Calls the function of a route at once: what the framework would do besides, no route here uses.

FastAPI stays what declares the routes and describes them. Its layers around a call (dependency solving, exit
stacks, four more ASGI layers) were 40 % of the time of a request, measured, and none of them had anything to do.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute, APIRouter
from starlette.types import ASGIApp, Receive, Scope, Send

from retrobus.http.problems import Problem
from retrobus.store.contract import StoreError

Refuse = Callable[[Request, Exception], Awaitable[Response]]


class Dispatch:
    """Serves the routes of these routers; everything else (reference pages, unknown paths) is FastAPI's."""

    def __init__(self, app: FastAPI, routers: list[APIRouter], refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse
        self._fixed: dict[tuple[str, str], APIRoute] = {}
        self._taken: set[str] = set()
        self._variable: dict[tuple[str, str, str], tuple[APIRoute, str]] = {}
        for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
            for method in route.methods or ():
                self._add(route, method)

    def _add(self, route: APIRoute, method: str) -> None:
        """A path has at most one parameter: `before/{name}after`."""
        before, opened, rest = route.path.partition("{")
        name, _, after = rest.partition("}")
        if opened:
            self._variable[method, before, after] = (route, name)
        else:
            self._fixed[method, route.path] = route
            self._taken.add(route.path)

    def _find(self, method: str, path: str) -> tuple[APIRoute, dict[str, str]] | None:
        route = self._fixed.get((method, path))
        if route is not None:
            return route, {}
        if path in self._taken:
            return None  # `/api/members/me` names no row, whatever the method
        before, _, last = path.rpartition("/")
        found = self._variable.get((method, f"{before}/", ""))
        if found is None:
            before, _, middle = before.rpartition("/")
            found, last = self._variable.get((method, f"{before}/", f"/{last}")), middle
        return (found[0], {found[1]: last}) if found is not None and last else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; the errors that we know become answers here."""
        response: ASGIApp = self._app
        if scope["type"] == "http":
            found = self._find(scope["method"], scope["path"])
            if found is not None:
                response = await self._call(*found, scope, receive)
            elif allowed := self._methods(scope["path"]):
                problem = Problem("method_not_allowed", headers={"Allow": ", ".join(allowed)})
                response = await self._refuse(Request(scope), problem)
        await response(scope, receive, send)

    async def _call(self, route: APIRoute, parameters: dict[str, str], scope: Scope, receive: Receive) -> Response:
        scope["app"], scope["route"], scope["path_params"] = self._app, route, parameters
        request = Request(scope, receive)
        try:
            response: Response = await route.endpoint(request)
        except (Problem, StoreError) as error:
            return await self._refuse(request, error)
        return response

    def _methods(self, path: str) -> list[str]:
        """What a path answers to; nothing if it is not among these routes."""
        known = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if self._find(method, path)]
        return ["HEAD", *known] if "GET" in known else known
