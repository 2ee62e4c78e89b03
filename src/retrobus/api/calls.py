"""Serves declared routes: proves the caller, reads the body, calls the route's function, writes the answer."""

import inspect
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import APIRouter, Request, Response

from retrobus.api.answers import Result
from retrobus.api.conditions import once, precondition
from retrobus.api.declaration import Route
from retrobus.api.queries import filters_of, limit_of, place_of, values_of
from retrobus.api.reference import operation
from retrobus.api.service import Service
from retrobus.http.problems import unauthenticated
from retrobus.model.ids import new_id
from retrobus.model.names import camel
from retrobus.model.patterns import NUMBER_KEY
from retrobus.model.resources import Resource
from retrobus.model.wire import View
from retrobus.store.contract import Caller, Filter, Query, Row, Store, Terms
from retrobus.store.errors import NotFound


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a route: `caller` has the declared rights, `key` and `values` come from the path and the body."""

    route: Route
    request: Request
    service: Service
    caller: Caller | None
    key: str
    values: Row

    @property
    def store(self) -> Store:
        """The store that answers."""
        return self.service.store

    @property
    def who(self) -> Caller:
        """The caller, of a route that not anyone may call."""
        if self.caller is None:
            raise unauthenticated()
        return self.caller

    @property
    def number(self) -> int:
        """The number in the path; NotFound for a text that no number has."""
        if not re.fullmatch(NUMBER_KEY["pattern"], self.key):
            raise NotFound
        return int(self.key)

    def terms(self) -> Terms:
        """Under which terms the client writes: as whom, If-Match, Idempotency-Key."""
        match = precondition(self.request) if self.route.conditional else None
        return Terms(self.caller, match, once(self.request))

    def new_id(self) -> str:
        """The id of a new row; a repeat under the same Idempotency-Key has the same id, so it makes no second row."""
        found = once(self.request)
        return new_id(self.who.id, found.key if found else None)

    def query(self, resource: Resource, view: View, *always: Filter) -> Query:
        """The list that the client asked for, under the filters that always hold."""
        values = values_of(self.request, self.route.filters)
        filters = (*always, *filters_of(values, self.route.filters))
        limit = limit_of(values)
        return Query(view, filters, place_of(values, resource), limit)


Function = TypeVar("Function", bound=Callable[[Call], Awaitable[Result]])


class Routes(APIRouter):
    """The routes of one file; `keys` says what each name in braces in their paths must look like to name a row."""

    def __init__(self, tag: str, prefix: str = "", **keys: dict[str, Any]) -> None:
        super().__init__(prefix=prefix, tags=[tag])
        self._keys = keys
        self.declared: list[Route] = []

    def declare(self, route: Route) -> Callable[[Function], Function]:
        """Serves a route by this function; its name and docstring are summary and description in the reference."""
        self.declared.append(route)

        def declared(function: Function) -> Function:
            self.add_api_route(
                route.path,
                _endpoint(route, function),
                methods=[route.method],
                name=function.__name__,
                description=inspect.getdoc(function) or "",
                operation_id=route.name or camel(function.__name__),
                status_code=route.answer.status,
                **operation(route, self._keys, self.prefix),
            )
            return function

        return declared


def _endpoint(route: Route, function: Callable[[Call], Awaitable[Result]]) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        service: Service = request.app.state.service
        caller = route.rights.check(request, service.tokens)
        key, values = await route.body.read(request, service.limits) if route.body else ("", {})
        key = next(iter(request.path_params.values()), key)
        call = Call(route, request, service, caller, key, values)
        return route.answer.response(await function(call), request)

    return serve
