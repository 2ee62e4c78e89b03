"""The service does not start with a route whose declaration it would not keep."""

import asyncio
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, Request, Response

from retrobus.http.dispatch import Dispatch


async def refuse(_: Request, error: Exception) -> Response:
    raise error


async def takes_a_query(request: Request, limit: int = 10) -> Response:  # noqa: ARG001 - what is declared is refused
    return Response()


async def takes_a_key(request: Request, key: str) -> Response:  # noqa: ARG001 - what is declared is refused
    return Response()


async def takes_a_header(request: Request, agent: Annotated[str, Header()]) -> Response:  # noqa: ARG001 - what is declared is refused
    return Response()


async def takes_a_body(request: Request, fields: dict[str, Any]) -> Response:  # noqa: ARG001 - what is declared is refused
    return Response()


async def depends(request: Request, who: Annotated[Response, Depends(takes_a_query)]) -> Response:  # noqa: ARG001 - what is declared is refused
    return Response()


async def takes_nothing() -> Response:
    return Response()


async def takes_the_request(request: Request) -> Response:  # noqa: ARG001 - the plain form of a route
    return Response()


def routed(function: Any, **declared: Any) -> Dispatch:
    router = APIRouter(**declared.pop("router", {}))
    router.add_api_route("/rows/{key}", function, **declared)
    return Dispatch(FastAPI(), [router], refuse)


@pytest.mark.parametrize(
    "function",
    [takes_a_query, takes_a_key, takes_a_header, takes_a_body, depends, takes_nothing],
    ids=lambda f: f.__name__,
)
def test_a_function_that_takes_more_or_less_than_the_request_is_refused(function: Any) -> None:
    with pytest.raises(ValueError, match=r"/rows/\{key\}: the function of a route takes the request and nothing else"):
        routed(function)


@pytest.mark.parametrize(
    "declared", [{"dependencies": [Depends(takes_nothing)]}, {"router": {"dependencies": [Depends(takes_nothing)]}}]
)
def test_a_dependency_of_the_route_or_of_its_router_is_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="takes the request and nothing else"):
        routed(takes_the_request, **declared)


def test_a_response_model_is_refused() -> None:
    with pytest.raises(ValueError, match="without a model"):
        routed(takes_the_request, response_model=dict[str, int])


def test_a_function_that_takes_the_request_alone_is_served() -> None:
    async def asked() -> int:
        transport = httpx.ASGITransport(routed(takes_the_request))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return (await client.get("/rows/920")).status_code

    assert asyncio.run(asked()) == 200


@pytest.mark.parametrize(
    "path", ["/rows/{key}/x/y", "/{a}/{b}", "/rows/{a}/{b}", "/rows/{a}/x/{b}/y", "/{a}/x/{b}/y/{c}"]
)
def test_a_path_whose_keys_no_request_would_be_found_by_is_refused(path: str) -> None:
    router = APIRouter()
    router.add_api_route(path, takes_the_request)

    with pytest.raises(ValueError, match="no request would be found"):
        Dispatch(FastAPI(), [router], refuse)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/rows/920", "one {'key': '920'}"), ("/rows/me", "me {}"), ("/rows/920/events", "events {'key': '920'}"),
        ("/rows/920/gallery/0", "gallery {'key': '920', 'n': '0'}"), ("/rows/{}", "one {'key': '{}'}"),
        ("/rows/gallery/gallery/gallery", "gallery {'key': 'gallery', 'n': 'gallery'}"),
        ("/rows/", ""), ("/rows//gallery/0", ""), ("/rows/920/gallery/", ""), ("/rows/920/gallery", ""), ("/", ""),
        ("/rows/920/gallery/0/1", ""), ("/{}/920", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_request_is_led_to_the_route_of_its_path_with_the_keys_in_it(path: str, expected: str) -> None:
    router = APIRouter()
    told = {
        "/rows/me": "me",
        "/rows/{key}": "one",
        "/rows/{key}/events": "events",
        "/rows/{key}/gallery/{n}": "gallery",
    }
    for declared, name in told.items():
        router.add_api_route(declared, takes_the_request, name=name)

    routes, keys = Dispatch(FastAPI(), [router], refuse).find(path)

    assert (f"{routes['GET'].name} {keys}" if routes else "") == expected
