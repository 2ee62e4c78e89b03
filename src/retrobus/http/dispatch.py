"""Finds the function of a route by the path and calls it at once, without the layers that FastAPI puts around a call.

FastAPI declares the routes and describes them. Its way to a function (dependencies, exit stacks, four more ASGI layers,
one pattern after another) would cost a sixth of the requests per second even with a route class of our own.
"""

from collections.abc import Awaitable, Callable, Iterable

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute, APIRouter
from starlette.types import ASGIApp, Receive, Scope, Send

from retrobus.http.problems import Problem, not_allowed
from retrobus.store.errors import StoreError

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
Refuse = Callable[[Request, Exception], Awaitable[Response]]


class Dispatch:
    """Serves the routes of these routers; every other address (reference pages, unknown paths) is left to FastAPI.

    Raises ValueError for a route with a declaration that is read by FastAPI alone, and so would do nothing here.
    """

    def __init__(self, app: FastAPI, routers: Iterable[APIRouter], refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse
        self._fixed: dict[str, dict[str, APIRoute]] = {}
        self._keyed: dict[tuple[str, str], tuple[str, dict[str, APIRoute]]] = {}
        for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
            _refuse_ignored(route)
            self._add(route)

    def _add(self, route: APIRoute) -> None:
        """Routes by path, then by method; a path has at most one key: `before/{name}after`."""
        before, opened, rest = route.path.partition("{")
        name, _, after = rest.partition("}")
        routes = (
            self._keyed.setdefault((before, after), (name, {}))[1] if opened else self._fixed.setdefault(before, {})
        )
        routes |= dict.fromkeys(route.methods or (), route)

    def _find(self, path: str) -> tuple[dict[str, APIRoute], dict[str, str]]:
        """The routes of a path by method, none if the path is unknown, and the key in the path.

        `/api/members/me` has routes of its own, so it is never looked up as the member with the id `me`.
        For `/public/vehicles/920/events`, the parts are `/public/vehicles/`, `920` and `/events`.
        """
        if path in self._fixed:
            return self._fixed[path], {}
        before, _, key = path.rpartition("/")
        found = self._keyed.get((f"{before}/", ""))
        if found is None:
            after = f"/{key}"
            before, _, key = before.rpartition("/")
            found = self._keyed.get((f"{before}/", after))
        return (found[1], {found[0]: key}) if found is not None and key else ({}, {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; a known error becomes its answer here."""
        routes, key = self._find(scope["path"]) if scope["type"] == "http" else ({}, {})
        response: ASGIApp = self._app
        if routes:
            response = await self._answer(routes, key, scope, receive)
        await response(scope, receive, send)

    async def _answer(
        self, routes: dict[str, APIRoute], key: dict[str, str], scope: Scope, receive: Receive
    ) -> Response:
        route = routes.get(scope["method"])
        request = Request(scope, receive)
        if route is None:
            known = [method for method in METHODS if method in routes]
            allowed = ", ".join(["HEAD", *known] if "GET" in known else known)
            return await self._refuse(request, not_allowed(allowed))
        scope["app"], scope["route"], scope["path_params"] = self._app, route, key
        try:
            response: Response = await route.endpoint(request)
        except (Problem, StoreError) as error:
            return await self._refuse(request, error)
        return response


def _refuse_ignored(route: APIRoute) -> None:
    """ValueError if the route asks for something that only FastAPI's own way to a function would do."""
    found = route.dependant
    read = [*found.path_params, *found.query_params, *found.header_params, *found.cookie_params, *found.body_params]
    if read or found.dependencies or found.request_param_name is None:
        raise ValueError(f"{route.path}: the function of a route takes the request and nothing else")
    if route.response_model is not None:
        raise ValueError(f"{route.path}: the function of a route returns its response, without a model")
