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
