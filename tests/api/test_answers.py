"""What the service really answers is what its reference declares: every status, media type and body."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from harness import Api, served, settings_for
from operations import OPERATIONS, Operation, prepared, send, token
from schema import complaints, resolved

pytestmark = pytest.mark.usefixtures("forked_programs")

WITHOUT_POSTGRES = [OPERATIONS[name] for name in ("health", "metrics", "me", "whoAmI", "status", "listBackups")]
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
ODD: dict[str, dict[str, Any]] = {
    "not json": {"content": b"{", "headers": {"Content-Type": "application/json"}},
    "not an object": {"json": []},
    "a form": {"data": {"city": "Lyon"}},
    "no known field": {"json": {"couleur": "rouge"}},
    "only wrong types": {"json": dict.fromkeys(("id", "title", "parc", "email", "city", "etat", "identifier"), 1.5)},
    "too large": {"content": b" " * (8 << 20) + b"{}", "headers": {"Content-Type": "application/json"}},
    "too many headers": {"headers": {"X-Filler": "x" * 17_000}},
    "not utf-8": {"url": "{target}?limit=%ff"},
    "bad query": {"url": "{target}?limit=0"},
    "bad key": {"headers": {"Idempotency-Key": "a b"}},
    "seen already": {"headers": {"If-None-Match": "*"}},
    "moved on": {"headers": {"If-Match": '"a"'}},
    "problem+json": {"headers": {"Accept": "application/problem+json", "If-Match": '"a"'}},
    "from elsewhere": {"headers": {"X-Forwarded-For": "203.0.113.5"}},
}
REFUSED_EARLY = {"too large", "too many headers", "not utf-8", "problem+json"}
"""Enough for an operation that takes seconds, which ignores its body and conditions."""

OURS = (
    "ETag", "Link", "Location", "Retry-After", "WWW-Authenticate", "X-Data-Source", "X-Data-As-Of", "X-Data-Origin",
    "X-Durability", "X-Request-Id",
)  # fmt: skip
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())


@pytest.fixture(scope="module")
def document(shared_api: Api) -> dict[str, Any]:
    found: dict[str, Any] = shared_api.get("/openapi.json").json()
    return found


@pytest.fixture(scope="module")
def own_api(shared_api: Api) -> Iterator[Api]:
    """A service of this module's own on the shared tables: its wrong passwords count in no other test's throttle."""
    with served(settings_for(shared_api.database_url), shared_api.database_url) as api:
        yield api


@pytest.fixture(scope="module")
def lost_api() -> Iterator[Api]:
    """The service without its Postgres."""
    with served(settings_for(NOWHERE), NOWHERE) as api:
        yield api


def undeclared(document: dict[str, Any], operation: Operation, answer: httpx.Response) -> list[str]:
    """What the reference does not say of this answer."""
    declared = document["paths"][operation.path][operation.method.lower()]["responses"].get(str(answer.status_code))
    if declared is None:
        return [f"status {answer.status_code}: {answer.text[:200]}"]
    declared = resolved(document, declared["$ref"]) if "$ref" in declared else declared
    headers = wrong_headers(declared["headers"], answer)
    if answer.status_code == 304:
        return headers if not answer.content else ["304 with a body"]
    media = answer.headers["Content-Type"].partition(";")[0]
    media = media if media in declared["content"] else f"{media.partition('/')[0]}/*"
    if media not in declared["content"]:
        return [f"{answer.status_code} as {media}"]
    schema = declared["content"][media]["schema"]
    return (
        headers if media.startswith(("text/", "image/")) else [*headers, *complaints(document, schema, answer.json())]
    )


def wrong_headers(declared: dict[str, Any], answer: httpx.Response) -> list[str]:
    """The headers that the reference promises and the answer lacks, and ours that it does not tell."""
    missing = [f"header {name}" for name, told in declared.items() if told["required"] and name not in answer.headers]
    return missing + [f"undeclared {name}" for name in OURS if name in answer.headers and name not in declared]


@every_operation
@pytest.mark.usefixtures("api")  # empties the tables
def test_an_operation_answers_only_as_declared(own_api: Api, document: dict[str, Any], operation: Operation) -> None:
    headers = prepared(own_api)
    answers = {name: send(own_api, operation, headers[name]) for name in ("no token", "expired token", "MEMBER")}

    odd = {name: changes for name, changes in ODD.items() if not operation.costly or name in REFUSED_EARLY}
    for name, changes in odd.items():
        altered = changes | {"url": changes.get("url", "{target}").format(target=operation.target)}
        answers[name] = send(own_api, operation, headers["ADMIN"] | altered.pop("headers", {}), **altered)
    answers["unknown"] = send(own_api, operation, headers["ADMIN"], url=re.sub("{.*?}", "rien", operation.path))
    answers["good"] = send(own_api, operation, headers["ADMIN"])
    answers["again"] = send(own_api, operation, headers["ADMIN"])

    found = {name: undeclared(document, operation, answer) for name, answer in answers.items()}
    assert {name: faults for name, faults in found.items() if faults} == {}


@every_operation
def test_an_operation_without_postgres_says_so_as_declared(
    lost_api: Api, document: dict[str, Any], operation: Operation
) -> None:
    headers = {"Authorization": f"Bearer {token('admin', 'ADMIN')}"}

    answer = send(lost_api, operation, headers)

    assert undeclared(document, operation, answer) == []
    assert answer.status_code == (200 if operation in WITHOUT_POSTGRES else 503)
    if answer.status_code == 503 and operation.path != "/ready":
        assert answer.headers["Retry-After"] == "1"
        assert answer.json().get("outcome") == (None if operation.method == "GET" else "not_applied")
