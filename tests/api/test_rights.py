"""Who may do what: every operation, for strangers, members, the bureau and administrators."""

from importlib import import_module
from pkgutil import iter_modules

import pytest
from fastapi.routing import APIRoute

import retrobus.api
from harness import Api
from operations import OPERATIONS, Operation, prepared, send

REFUSED: dict[str, dict[str, int]] = {
    "anyone": {},
    "token": {"no token": 401, "expired token": 401},
    "manager": {"no token": 401, "expired token": 401, "MEMBER": 403, "DRIVER": 403},
    "admin": {"no token": 401, "expired token": 401, "MEMBER": 403, "DRIVER": 403, "BUREAU": 403},
}
"""Whom each audience leaves out, and with which status."""

every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())


def expected(operation: Operation, who: tuple[str, ...]) -> dict[str, int]:
    return {name: REFUSED[operation.audience].get(name, operation.status) for name in who}


@pytest.mark.parametrize("manager", ["BUREAU", "ADMIN"])
@every_operation
def test_an_operation_serves_its_audience_and_refuses_all_others(api: Api, operation: Operation, manager: str) -> None:
    headers, who = prepared(api), ("no token", "expired token", "MEMBER", "DRIVER", manager)

    answers = {name: send(api, operation, headers[name]) for name in who}

    assert {name: answer.status_code for name, answer in answers.items()} == expected(operation, who)
    assert {answer.headers.get("WWW-Authenticate") for answer in answers.values() if answer.status_code == 401} <= {
        "Bearer"
    }


@pytest.mark.parametrize(
    "operation", [pytest.param(found, id=name) for name, found in OPERATIONS.items() if found.alias]
)
def test_an_alias_gives_the_same_rights(api: Api, operation: Operation) -> None:
    headers, who = prepared(api), ("no token", "MEMBER", "BUREAU")

    answers = {name: send(api, operation, headers[name], url=operation.alias) for name in who}

    assert {name: answer.status_code for name, answer in answers.items()} == expected(operation, who)


def test_every_route_is_in_the_table() -> None:
    modules = [import_module(f"retrobus.api.{found.name}") for found in iter_modules(retrobus.api.__path__)]
    routes = [route for module in modules if hasattr(module, "router") for route in module.router.routes]

    declared = {
        (route.operation_id, method, route.path)
        for route in routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }

    assert all(isinstance(route, APIRoute) for route in routes)
    assert declared == {(name, found.method, found.path) for name, found in OPERATIONS.items()}
