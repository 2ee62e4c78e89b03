"""Lists as CSV files: every cell says what the JSON list says, whatever people wrote, and the whole list is in it."""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import pytest

from harness import LONGEST, Api, Person, until
from retrobus.model.resources import BY_NAME, EVENT, MEMBER, VEHICLE, Resource
from retrobus.sheets.cells import KEPT
from retrobus.sheets.columns import columns_of
from routes import assert_refused
from rows import create
from sheet_rows import IMAGE, lines_of, listed, rows_of_file, stocked

DIALECTS = ("rfc4180", "excel-fr")
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
MANY = "INSERT INTO vehicle (parc, description) SELECT n, repeat('é', 200) FROM generate_series(1, {}) AS n"


def sheet(api: Api, who: Person, resource: Resource, **query: str) -> httpx.Response:
    return api.get(f"/api/{resource.plural}.csv", params=query, headers=who.headers)


@every_dialect
@pytest.mark.parametrize("resource", BY_NAME.values(), ids=repr)
def test_a_file_says_what_the_list_says(api: Api, admin: Person, resource: Resource, dialect: str) -> None:
    stocked(api, admin)

    answer = sheet(api, admin, resource, dialect=dialect)

    assert rows_of_file(resource, answer.content, dialect) == listed(api, admin, resource)


@every_dialect
@pytest.mark.parametrize("resource", BY_NAME.values(), ids=repr)
def test_no_cell_begins_a_formula(api: Api, admin: Person, resource: Resource, dialect: str) -> None:
    stocked(api, admin)

    cells = [cell for line in lines_of(sheet(api, admin, resource, dialect=dialect).content, dialect) for cell in line]

    assert [cell for cell in cells if re.match(r"\s*[=+@\t\r-]", cell)] == []
    assert "'=1+1" in cells


@every_dialect
def test_an_empty_text_that_sql_wrote_is_not_null(api: Api, admin: Person, dialect: str) -> None:
    create(api, admin, "events", id="a", title="x")
    api.sql("UPDATE event SET location = '' WHERE id = 'a'")

    [_, line] = lines_of(sheet(api, admin, EVENT, dialect=dialect).content, dialect)

    cells = dict(zip((one.wire for one in columns_of(EVENT)), line, strict=True))
    assert (cells["location"], cells["time"]) == ("'", "")


def test_the_french_dialect_is_what_a_french_spreadsheet_reads(api: Api, admin: Person) -> None:
    create(api, admin, "vehicles", parc="920", fuel=62.5, isPublic=True, miseEnCirculation="2001-07-31")
    create(api, admin, "events", id="a", date="2026-05-01T14:30:00Z", adultPrice=1234.5)

    vehicle = lines_of(sheet(api, admin, VEHICLE, dialect="excel-fr").content, "excel-fr")
    event = lines_of(sheet(api, admin, EVENT, dialect="excel-fr").content, "excel-fr")

    assert {"62,5", "oui", "31/07/2001"} <= set(vehicle[1])
    assert {"01/05/2026 14:30:00", "1234,5"} <= set(event[1])
    assert vehicle[0][:4] == ["Numéro interne", "N° de parc", "Type", "Modèle"]
    assert event[0][-4:-2] == ["Créé le (UTC)", "Modifié le (UTC)"]


def test_what_a_cell_of_excel_cannot_hold_is_said_to_be_left_out(api: Api, admin: Person) -> None:
    create(api, admin, "vehicles", parc="920", gallery=[f"https://example.org/{'x' * 1900}/{n}" for n in range(20)])

    french, plain = (sheet(api, admin, VEHICLE, dialect=dialect).content for dialect in ("excel-fr", "rfc4180"))

    assert "gallery" not in rows_of_file(VEHICLE, french, "excel-fr")[0]
    assert rows_of_file(VEHICLE, plain, "rfc4180") == listed(api, admin, VEHICLE)


def test_images_in_data_urls_are_left_out_and_said_to_be(api: Api, admin: Person) -> None:
    create(api, admin, "vehicles", parc="920", backgroundImage=IMAGE)

    answer = sheet(api, admin, VEHICLE)

    assert KEPT in answer.text
    assert "data:" not in answer.text


def test_no_secret_is_in_a_file(api: Api, admin: Person) -> None:
    api.sql(f"UPDATE member SET password_hash = '$argon2id$kilroy' WHERE id = '{admin.id}'")

    text = sheet(api, admin, MEMBER).text

    assert admin.id in text
    assert "kilroy" not in text


@pytest.mark.parametrize(
    ("resource", "query"),
    [
        (EVENT, {"status": "PUBLISHED"}),
        (EVENT, {"from": "2026-05-02", "to": "2026-05-03"}),
        (EVENT, {"vehicleId": "920"}),
        (VEHICLE, {"etat": "disponible", "isPublic": "true"}),
        (MEMBER, {"email": "UN@example.org"}),
        (MEMBER, {"status": "terminated"}),
    ],
)
def test_the_filters_are_those_of_the_list(api: Api, admin: Person, resource: Resource, query: dict[str, str]) -> None:
    create(api, admin, "vehicles", parc="920", isPublic=True)
    create(api, admin, "vehicles", parc="921", isPublic=False)
    create(api, admin, "events", id="a", date="2026-05-01", status="PUBLISHED")
    create(api, admin, "events", id="b", date="2026-05-02", vehicleId="920")
    create(api, admin, "members", email="un@example.org", status="terminated")

    found = rows_of_file(resource, sheet(api, admin, resource, **query).content, "rfc4180")

    wanted = api.get(f"/api/{resource.plural}", params=query, headers=admin.headers).json()[resource.plural]
    assert found == wanted
    assert len(found) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("dialect=tsv", "dialect"), ("dialect=", "dialect"), ("dialect=rfc4180&dialect=rfc4180", "dialect"),
        ("limit=10", "limit"), ("cursor=x", "cursor"), ("page=2", "page"), ("offset=5", "offset"),
        ("status=perdu", "status"), ("from=hier", "from"),
    ],
)  # fmt: skip
def test_what_the_address_asks_wrongly_is_refused_by_name(api: Api, admin: Person, query: str, field: str) -> None:
    answer = api.get(f"/api/events.csv?{query}", headers=admin.headers)

    assert_refused(answer, 422, "invalid", field)


def test_a_file_has_a_name_and_no_cache_keeps_it(api: Api, admin: Person) -> None:
    answer = sheet(api, admin, MEMBER)

    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert re.fullmatch(
        r'attachment; filename="retrobus-membres-\d{4}-\d\d-\d\d\.csv"', answer.headers["Content-Disposition"]
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Data-Source"] == "postgres"
    assert answer.headers["Transfer-Encoding"] == "chunked"


def test_head_gives_the_head_alone(api: Api, admin: Person) -> None:
    answer = api.head("/api/members.csv", headers=admin.headers)

    assert (answer.status_code, answer.content) == (200, b"")
    assert "Content-Disposition" in answer.headers


def test_an_empty_list_is_a_file_with_headers(api: Api, admin: Person) -> None:
    assert rows_of_file(EVENT, sheet(api, admin, EVENT).content, "rfc4180") == []


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No reader is cut for being slow, but in the test about this."""
    monkeypatch.setattr("retrobus.api.sheets.PATIENCE", LONGEST)


@contextmanager
def idle_reader(api: Api, who: Person, path: str) -> Iterator[socket.socket]:
    """A client that asks for a file, once there is a place for it, and reads the beginning of its first line only."""
    with until(lambda: begun(api, who, path), "a place for the file") as line:
        yield line


def begun(api: Api, who: Person, path: str) -> socket.socket | None:
    """The connection on which the file begins; None if there is no place for it."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # else the kernel itself takes megabytes
    line.connect((api.base_url.host, api.base_url.port or 80))
    line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {who.token}\r\n\r\n".encode())
    if line.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200":
        return line
    line.close()
    return None


def rest(line: socket.socket) -> bytes:
    """What still comes before the connection ends."""
    found = b""
    with suppress(ConnectionResetError):
        while data := line.recv(1 << 20):
            found += data
    return found


def in_use(api: Api) -> float | None:
    return api.metric('retrobus_pool_connections{state="in_use"}')


def test_a_slow_reader_holds_no_connection_and_has_the_rows_of_the_beginning(api: Api, admin: Person) -> None:
    api.sql(MANY.format(20_000))
    with idle_reader(api, admin, "/api/vehicles.csv") as line:
        until(lambda: in_use(api) == 0, "a pool that no request uses, while the reader waits")
        api.sql("DELETE FROM vehicle")
        assert sheet(api, admin, VEHICLE).text.count("\r\n") == 1

        line.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        whole = rest(line)

    assert whole.count("é".encode() * 200) == 20_000


def test_a_process_prepares_only_so_many_files(api: Api, admin: Person) -> None:
    api.sql(MANY.format(20_000))
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(idle_reader(api, admin, "/api/vehicles.csv"))
        refused = sheet(api, admin, EVENT)

    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (
        503,
        "too_many_exports",
        "10",
    )
    until(lambda: sheet(api, admin, EVENT).status_code == 200, "the place of a reader that went away")


@pytest.mark.parametrize("limit", ["retrobus.api.sheets.PATIENCE", "retrobus.api.sheets.LONGEST"])
def test_a_reader_that_takes_nothing_is_cut_and_sees_that_the_file_is_not_whole(
    api: Api, admin: Person, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr("retrobus.store.spool.MOST", 1)
    monkeypatch.setattr(limit, 0.2)
    api.sql(MANY.format(20_000))
    with idle_reader(api, admin, "/api/vehicles.csv") as line:
        with idle_reader(api, admin, "/api/events.csv"):  # it has the place of the reader that was cut
            pass
        text = rest(line)

    assert not text.endswith(b"0\r\n\r\n")
    assert text.count("é".encode() * 200) < 20_000


@pytest.mark.parametrize(("resource", "allowed"), [(MEMBER, False), (EVENT, True), (VEHICLE, True)])
def test_a_token_that_was_revoked_gives_no_file(api: Api, manager: Person, resource: Resource, allowed: bool) -> None:  # noqa: FBT001
    member = api.person()
    assert (sheet(api, member, resource).status_code == 200) == allowed
    api.sql(f"UPDATE member SET token_epoch = 7 WHERE id = '{manager.id}'")

    for ask in (api.get, api.head):
        assert _status(ask, resource, manager) == 401


def _status(ask: Callable[..., Any], resource: Resource, who: Person) -> int:
    found: int = ask(f"/api/{resource.plural}.csv", headers=who.headers).status_code
    return found
