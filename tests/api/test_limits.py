"""One limit, three places: what the API takes, what the column takes and what the reference says are the same."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import pytest

from builders import Body, a_vehicle
from harness import Api, Person
from retrobus.api import auth, events, members, reference_schemas, vehicles
from retrobus.model import limits, patterns
from retrobus.model.resources import ALL as RESOURCES
from routes import EVENT, MEMBER, VEHICLE, assert_refused, stocked

TABLES = {"EventChange": ("event", EVENT, "id"), "VehicleChange": ("vehicle", VEHICLE, "parc"),
          "MemberChange": ("member", MEMBER, "id")}  # fmt: skip
KEYED = {"events": ("EventCreation", "id"), "vehicles": ("VehicleCreation", "parc")}
DATES = (
    ["1800-01-01T00:00:00.000Z", "2200-12-31T23:59:59.999Z"],
    ["1799-12-31T23:59:59.999Z", "2201-01-01T00:00:00.000Z"],
)
PADDING = limits.JSON_BYTES - len('{"a": ""}')
ITEM = len('[{"label": "", "value": ""}]')

ROUTES = [route for module in (auth, events, members, vehicles) for route in module.router.declared]


def components() -> dict[str, Any]:
    """The schemas of the reference."""
    return reference_schemas.components(route.body for route in ROUTES if route.body is not None)


Values = tuple[list[Any], list[Any]]
"""What is taken at the limit, and what is refused just beyond it."""

SPECIAL: dict[str, Values] = {
    "time": (["00:00", "23:59"], ["24:00", "9:30", "12:60", "12:30:00"]),
    "vehicleId": (["x" * 50], ["x" * 51]),
    "backgroundImage": (["x" * 2000, "data:image/png," + "x" * 5000], ["x" * 2001]),
    "extras": ([{"a": "x" * PADDING}], [{"a": "x" * (PADDING + 1)}, []]),
    "caracteristiques": (
        [[], [{"label": "", "value": "x" * (limits.JSON_BYTES - ITEM)}]],
        [[{"label": "", "value": "x" * (limits.JSON_BYTES - ITEM + 1)}], {}],
    ),
    "gallery": ([[], ["x" * 2000] * 100], [["x"] * 101, {}]),
    "permissions": ([[], ["x" * 200] * 100], [{}]),
    "email": (["x" * 188 + "@example.org"], ["x" * 189 + "@example.org", ""]),
    "role": (["ADMIN", "DRIVER"], [""]),
}


def _limits(name: str, schema: Body) -> Values:
    """The values around the limits that the reference gives for a field."""
    if name in SPECIAL:
        return SPECIAL[name]
    if schema.get("pattern") == patterns.MOMENT:
        return DATES
    if "enum" in schema:
        return schema["enum"], ["x"]
    if "maxLength" in schema:
        most = schema["maxLength"]
        return ["x" * most, "é" * most], ["x" * (most + 1), *([""] if schema.get("minLength") else [])]
    if "maximum" in schema:
        low, high = schema["minimum"], schema["maximum"]
        return [low, high], [low - 1, high + schema.get("multipleOf", 1)]
    assert schema["type"] == "boolean", f"{name} has no limit: {schema}"
    return [True, False], []


def _fields(model: str) -> Iterator[tuple[str, Values]]:
    for name, schema in components()[model]["properties"].items():
        if name not in {"id", "password"}:
            branches = [b for b in schema.get("anyOf", [schema]) if b.get("type") != "null" and b.get("maxLength") != 0]
            yield name, _limits(name, branches[0] if len(branches) == 1 else schema)


ALL = [(model, name, *values) for model in TABLES for name, values in _fields(model)]

Takes = Callable[[str, str, Any], bool]


@pytest.fixture
def column_takes(api: Api) -> Iterator[Takes]:
    """Whether a column takes a value that SQL writes past the API."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(api.database_url))

        def takes(model: str, column: str, value: Any) -> bool:
            table, row, key = TABLES[model]
            text = value if isinstance(value, str) else json.dumps(value)
            quoted = "'" + text.replace("'", "''") + "'"
            try:
                runner.run(connection.execute(f"UPDATE {table} SET {column} = {quoted} WHERE {key} = '{row}'"))
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
                return False
            return True

        yield takes
        runner.run(connection.close())


def _snake(name: str) -> str:
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name)


def _prepared(api: Api) -> Person:
    admin = stocked(api)
    api.post("/api/vehicles", json=a_vehicle(parc="x" * 50), headers=admin.headers)
    return admin


@pytest.mark.parametrize(("model", "name", "taken", "refused"), ALL, ids=[f"{case[0]} {case[1]}" for case in ALL])
def test_api_column_and_reference_draw_the_same_line(
    api: Api, column_takes: Takes, model: str, name: str, taken: list[Any], refused: list[Any]
) -> None:
    admin = _prepared(api)
    table, row, _ = TABLES[model]

    for value in taken:
        answer = api.patch(f"/api/{table}s/{row}", json={name: value}, headers=admin.headers)
        assert answer.status_code == 200, (value, answer.text)
        assert column_takes(model, _snake(name), value), value
    for value in refused:
        answer = api.patch(f"/api/{table}s/{row}", json={name: value}, headers=admin.headers)
        assert_refused(answer, 422, "invalid", name)
        assert not column_takes(model, _snake(name), value), value


@pytest.mark.parametrize(
    ("path", "bad"), [("events", "x" * 101), ("vehicles", "x" * 51), ("vehicles", ""), ("events", "..")]
)
def test_keys_have_the_same_limits_too(api: Api, column_takes: Takes, path: str, bad: str) -> None:
    admin = _prepared(api)
    model, key = KEYED[path]
    body = {"title": "x", "date": "2026-05-01"}
    longest = "y" * (100 if path == "events" else 50)

    taken = api.post(f"/api/{path}", json=body | {key: longest}, headers=admin.headers)
    refused = api.post(f"/api/{path}", json=body | {key: bad or " "}, headers=admin.headers)

    assert taken.status_code == 201
    if bad or path == "vehicles":
        assert_refused(refused, 422, "invalid", key)
    assert not column_takes(model.replace("Creation", "Change"), key, bad)


def test_every_column_that_a_client_may_write_is_compared() -> None:
    compared = {(TABLES[model][0], _snake(name)) for model, name, *_ in ALL}
    ours = {"id", "version", "created_at", "updated_at", "updated_by", "created_by", "current_participants",
            "password_hash", "token_epoch"}  # fmt: skip

    columns = {(resource.table.name, column.name) for resource in RESOURCES for column in resource.columns}

    assert {(table, column) for table, column in columns if column not in ours} == compared | {("vehicle", "parc")}


def test_creations_and_changes_have_the_same_limits() -> None:
    found = components()

    for name in ("Event", "Vehicle", "Member"):
        created, changed = (found[f"{name}{kind}"]["properties"] for kind in ("Creation", "Change"))
        for field in changed.keys() & created.keys():
            assert {**created[field], "default": 0} == {**changed[field], "default": 0}


def test_no_change_has_a_default_and_needs_a_field() -> None:
    changes = {name: schema for name, schema in components().items() if name.endswith(("Change", "ChangeById"))}

    assert {"EventChange", "VehicleChange", "MemberChange", "MemberChangeById", "OwnChange"} < changes.keys()
    for name, schema in changes.items():
        assert [field for field, told in schema["properties"].items() if "default" in told] == [], name
        assert schema.get("required", []) == {"MemberChangeById": ["id"]}.get(name, schema.get("required", [])), name
    assert all("required" not in changes[f"{name}Change"] for name in ("Event", "Vehicle", "Member", "Own"))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("events", {"title": "Sortie", "date": "2026-05-01"}),
        ("vehicles", {"parc": "920"}),
        ("members", {"email": "sacha@example.org"}),
    ],
)
def test_a_creation_tells_the_defaults_that_a_row_really_has(api: Api, path: str, body: Body) -> None:
    admin = stocked(api)
    api.delete("/api/vehicles/920", headers=admin.headers)
    told = components()[f"{path[:-1].title()}Creation"]["properties"]

    row = api.post(f"/api/{path}", json=body, headers=admin.headers).json()

    defaults = {name: schema["default"] for name, schema in told.items() if "default" in schema}
    assert {name: row[name] for name in defaults} == defaults
    assert told.keys() - defaults.keys() - body.keys() <= {"id", "password"}


def test_members_write_their_own_record_within_the_same_limits() -> None:
    found = components()

    assert found["OwnChange"]["properties"].items() <= found["MemberChange"]["properties"].items()


def test_the_reference_tells_the_limits_that_a_schema_cannot_hold() -> None:
    found = components()
    event, vehicle = found["EventChange"]["properties"], found["VehicleChange"]["properties"]

    told = {name: json.dumps(schema) for name, schema in (event | vehicle).items()}

    assert "1800 to 2200" in told["date"]
    assert all("65536 bytes" in told[name] for name in ("extras", "caracteristiques"))
    assert "2000 characters" in told["backgroundImage"]
    assert vehicle["gallery"]["maxItems"] == 100
