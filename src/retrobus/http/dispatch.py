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
PLACES = ((-1,), (-2,), (-3, -1))
"""Where the keys of a path may stand, counted from its end: `…/{key}`, `…/{key}/events`, `…/{key}/gallery/{n}`."""

Refuse = Callable[[Request, Exception], Awaitable[Response]]


class Dispatch:
    """Serves the routes of these routers; every other address (reference pages, unknown paths) is left to FastAPI.

    Raises ValueError for a route with a declaration that is read by FastAPI alone, and so would do nothing here.
    """

    def __init__(self, app: FastAPI, routers: Iterable[APIRouter], refuse: Refuse) -> None:
        self._app = app
        self._refuse = refuse
        self._fixed: dict[str, dict[str, APIRoute]] = {}
        self._keyed: dict[str, tuple[tuple[str, ...], dict[str, APIRoute]]] = {}
        for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
            _refuse_ignored(route)
            self._add(route)

    def _add(self, route: APIRoute) -> None:
        """Routes by path, then by method; ValueError for a path whose keys stand where no request is looked for."""
        parts = route.path.split("/")
        names = tuple(part[1:-1] for part in parts if part.startswith("{"))
        if not names:
            routes = self._fixed.setdefault(route.path, {})
        elif tuple(i - len(parts) for i, part in enumerate(parts) if part.startswith("{")) not in PLACES:
            raise ValueError(f"{route.path}: no request would be found by keys at these places")
        else:
            pattern = "/".join("{}" if part.startswith("{") else part for part in parts)
            routes = self._keyed.setdefault(pattern, (names, {}))[1]
        routes |= dict.fromkeys(route.methods or (), route)

    def find(self, path: str) -> tuple[dict[str, APIRoute], dict[str, str]]:
        """The routes of a path by method, none if the path is unknown, and the keys in the path.

        `/api/members/me` has routes of its own, so it is never looked up as the member with the id `me`.
        `/public/vehicles/920/gallery/0` is found as `/public/vehicles/{}/gallery/{}`, with the keys `920` and `0`.
        """
        if path in self._fixed:
            return self._fixed[path], {}
        parts = path.split("/")
        for places in PLACES:
            if len(parts) < -places[0]:
                break
            keys = [parts[place] for place in places]
            pattern = parts.copy()
            for place in places:
                pattern[place] = "{}"
            found = self._keyed.get("/".join(pattern))
            if found is not None and all(keys):
                return found[1], dict(zip(found[0], keys, strict=True))
        return {}, {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; a known error becomes its answer here."""
        routes, key = self.find(scope["path"]) if scope["type"] == "http" else ({}, {})
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
