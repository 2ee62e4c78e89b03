"""The API reference: a valid OpenAPI 3.1 document, and pages that show it without the internet."""

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from harness import Api
from operations import OPERATIONS
from retrobus.model.columns import label_of
from retrobus.model.names import camel
from retrobus.model.resource import Resource
from retrobus.model.resources import ALL
from schema import faults, references, resolved

ERRORS_OF_ALL = {"400", "431", "500"}
MEDIA = {"application/json", "application/problem+json"}
BODIES_READ = {"400", "408", "413", "415", "422"}


@pytest.fixture
def document(shared_api: Api) -> dict[str, Any]:
    found: dict[str, Any] = shared_api.get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation; each answer as it is where its name leads."""
    found = [(path, method, found) for path, item in document["paths"].items() for method, found in item.items()]
    return [
        (path, method, operation | {"responses": answers(document, operation)}) for path, method, operation in found
    ]


def answers(document: dict[str, Any], operation: dict[str, Any]) -> dict[str, Any]:
    return {
        status: resolved(document, answer["$ref"]) if "$ref" in answer else answer
        for status, answer in operation["responses"].items()
    }


def test_it_is_an_openapi_3_1_document(document: dict[str, Any]) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert all(document["info"][name] for name in ("title", "version", "summary", "description"))
    assert document.keys() == {"openapi", "info", "paths", "components", "x-max-body-bytes", "x-max-image-body-bytes"}
    assert document["components"].keys() == {"schemas", "responses", "securitySchemes"}


def test_every_reference_leads_somewhere_and_every_schema_is_used(document: dict[str, Any]) -> None:
    named = set(references(document))

    assert all(resolved(document, reference) for reference in named)
    assert named == {
        f"#/components/{part}/{name}" for part in ("schemas", "responses") for name in document["components"][part]
    }


def test_the_document_is_small_and_not_sent_again_to_a_reader_that_has_it(shared_api: Api) -> None:
    first = shared_api.get("/openapi.json")

    again = shared_api.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert len(first.content) < 350_000
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers["Cache-Control"] == again.headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("resource", ALL, ids=lambda found: found.name)
def test_every_field_of_a_row_has_a_french_label_and_its_place(document: dict[str, Any], resource: Resource) -> None:
    row = document["components"]["schemas"][resource.name]["properties"]

    labels = {camel(column.name): label_of(column) for column in resource.shown}
    assert {name: field["x-label"] for name, field in row.items() if "x-label" in field} == labels
    assert sorted(row[name]["x-order"] for name in labels) == list(range(len(labels)))


def test_every_schema_is_sound(document: dict[str, Any]) -> None:
    parts = dict(document["components"]["schemas"])
    for path, method, operation in operations(document):
        parts |= {f"{method} {path} {found['name']}": found["schema"] for found in operation["parameters"]}

    assert [fault for name, schema in parts.items() for fault in faults(schema, name)] == []


def test_every_operation_is_named_tagged_and_described(document: dict[str, Any]) -> None:
    found = [operation for _, _, operation in operations(document)]

    assert len({operation["operationId"] for operation in found}) == len(found) == len(OPERATIONS)
    assert all(len(operation["tags"]) == 1 for operation in found)
    assert all(operation["summary"] and operation["description"] for operation in found)


def test_only_the_canonical_paths_are_in_it(document: dict[str, Any]) -> None:
    found = {(operation["operationId"], method.upper(), path) for path, method, operation in operations(document)}

    assert found == {(name, operation.method, operation.path) for name, operation in OPERATIONS.items()}


def test_every_path_parameter_is_declared_once_and_no_other(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        parameters = [(found["in"], found["name"]) for found in operation["parameters"]]
        keys = [found["name"] for found in operation["parameters"] if found["in"] == "path" and found["required"]]

        assert len(set(parameters)) == len(parameters)
        assert keys == re.findall(r"{(\w+)}", path)


def test_every_operation_declares_its_success_and_the_errors_of_all(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        good = OPERATIONS[operation["operationId"]]

        assert str(good.status) in operation["responses"], (path, method)
        assert operation["responses"].keys() >= ERRORS_OF_ALL, (path, method)
        assert all(found["description"] for found in operation["responses"].values())


def test_every_error_has_the_one_form_in_both_media(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, found in operation["responses"].items():
            if status < "400" or (path, status) == ("/ready", "503"):
                continue

            assert found["content"].keys() == MEDIA, (path, method, status)
            assert list(references(found["content"])) == ["#/components/schemas/Problem"] * 2


def test_a_list_tells_its_next_page_and_a_write_its_conditions(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        names = {found["name"] for found in operation["parameters"]}
        keyed = "{" in path or path in {"/api/members", "/api/members/me"}

        assert ("Link" in operation["responses"]["200" if method == "get" else "400"]["headers"]) == (
            "cursor" in names
        ), (path, method)
        if method in {"put", "patch", "delete"}:
            assert names >= {"Idempotency-Key", "If-Match"}, (path, method)
            assert keyed


def test_the_document_is_one_that_generators_read(document: dict[str, Any]) -> None:
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_an_operation_says_whether_it_needs_a_token_and_a_body(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        good = OPERATIONS[operation["operationId"]]
        secured, declared = operation.get("security") == [{"bearer": []}], operation["responses"].keys()

        assert secured == (good.audience != "anyone"), (path, method)
        assert ("401" in declared) == (secured or good.path.startswith("/api/auth/")), (path, method)
        assert ("403" in declared) == (good.audience in {"manager", "admin"} or path == "/metrics"), (path, method)
        if good.body:
            assert operation["requestBody"]["required"]
            assert declared >= BODIES_READ, (path, method)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_a_reference_page_names_no_other_host_and_its_files_are_here(shared_api: Api, path: str) -> None:
    page = shared_api.get(path)

    files = [name for name in re.findall(r"(?:src|href)=[\"']([^\"']+)", page.text) if name != "#"]
    answers = [shared_api.get(name) for name in [*files, "/openapi.json"]]

    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "//" not in re.sub(r"^\s*//.*$", "", page.text, flags=re.MULTILINE)
    assert len(files) >= 2
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert all(answer.content for answer in answers)
