"""Facts about the streams of changes: what they send, how they resume, and how each of them ends."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from harness import LONGEST, Api, Person, until
from locks import held

Event = dict[str, Any]
SHOWN = "INSERT INTO vehicle (parc, is_public) VALUES ('{}', true)"


@contextmanager
def stream(
    api: Api, path: str = "/public/changes/stream", who: Person | None = None, **headers: str
) -> Iterator[Iterator[Event]]:
    """The events of one open stream."""
    with api.stream("GET", path, headers=(who.headers if who else {}) | headers, timeout=LONGEST) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield events(answer)


def events(answer: httpx.Response) -> Iterator[Event]:
    event: Event = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            event[name] = json.loads(value) if name == "data" else value
        elif "data" in event:
            yield event
            event = {}


def told(found: Iterator[Event]) -> list[Event]:
    """The events up to the one that says that the copy is whole."""
    heard = []
    for event in found:
        heard.append(event)
        if event.get("event") == "current":
            break
    return heard


def items(heard: list[Event]) -> list[tuple[str, bool]]:
    return [(event["data"]["key"], event["data"]["deleted"]) for event in heard if "event" not in event]


def test_a_stream_tells_everything_and_then_each_change(api: Api) -> None:
    api.sql(SHOWN.format("920"))
    with stream(api) as found:
        assert items(told(found)) == [("920", False)]

        api.sql(SHOWN.format("921"))
        assert items(told(found)) == [("921", False)]
        api.sql("DELETE FROM vehicle WHERE parc = '920'")
        assert items(told(found)) == [("920", True)]


def test_a_stream_that_begins_beside_others_has_what_was_committed_before_it_began(api: Api) -> None:
    """Streams share pages as long as nothing changes; a version that is drawn but not committed is a change to come."""
    with stream(api) as first:
        told(first)
        api.sql(SHOWN.format("920"))
        with stream(api) as second, held(api.database_url, SHOWN.format("921")) as writer:
            of_second = items(told(second))
            with stream(api) as third:
                of_third = items(told(third))
                writer.run("COMMIT")
                with stream(api) as fourth:
                    of_fourth = items(told(fourth))

    assert of_second == of_third == [("920", False)]
    assert of_fourth == [("920", False), ("921", False)]


def test_streams_read_to_their_end_though_only_one_page_is_kept_for_others(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound of kept pages prevents that a client with ever new cursors makes the memory grow."""
    monkeypatch.setattr("retrobus.changes.streams.KEPT", 1)
    monkeypatch.setattr("retrobus.changes.streams.PAGE", 2)
    for parc in range(920, 929):
        api.sql(SHOWN.format(parc))

    with stream(api) as first, stream(api, "/public/changes/stream?resource=Vehicle") as second:
        both = items(told(first)), items(told(second))

    assert both == ([(str(parc), False) for parc in range(920, 929)],) * 2


def test_a_stream_resumes_behind_the_last_event_that_was_read(api: Api) -> None:
    with stream(api) as found:
        last = told(found)[-1]["id"]
    api.sql(SHOWN.format("920"))

    with stream(api, **{"Last-Event-ID": last}) as found:
        heard = told(found)
    with stream(api, f"/public/changes/stream?since={last}") as found:
        again = told(found)

    assert items(heard) == items(again) == [("920", False)]
    assert api.get("/public/changes", params={"since": heard[-1]["id"]}).json()["changes"] == []


def test_the_last_event_id_goes_before_the_address(api: Api) -> None:
    with stream(api) as found:
        first = told(found)[-1]["id"]
    api.sql(SHOWN.format("920"))
    second = api.get("/public/changes", params={"since": first}).json()["cursor"]

    with stream(api, f"/public/changes/stream?since={first}", **{"Last-Event-ID": second}) as found:
        api.sql(SHOWN.format("921"))
        assert items(told(found) + told(found)) == [("921", False)]


REFUSED = {
    "a bad cursor": ({"since": "x"}, 422, "invalid"),
    "another resource": ({"resource": "Member"}, 422, "invalid"),
}


@pytest.mark.parametrize(("params", "status", "code"), REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_an_answer_of_its_own(api: Api, params: dict[str, str], status: int, code: str) -> None:
    answer = api.get("/public/changes/stream", params=params)

    assert (answer.status_code, answer.json()["code"]) == (status, code)


ENDED = {
    "resync_required": "UPDATE database_identity SET id = gen_random_uuid()",
    "unauthenticated": "UPDATE member SET token_epoch = 7",
}


@pytest.mark.parametrize("code", ENDED)
def test_a_stream_says_why_it_ends(api: Api, manager: Person, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrobus.api.event_stream.COMMENT", 0.1)
    with stream(api, "/api/changes/stream", manager) as found:
        told(found)
        api.sql(ENDED[code])

        heard = [event for event in found if event.get("event") == "problem"]

    assert [event["data"]["code"] for event in heard] == [code]


def test_a_process_serves_only_so_many_streams(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    until(lambda: api.metric("retrobus_followers") == 0, "the end of the streams of other tests")
    monkeypatch.setattr("retrobus.changes.streams.MOST", 1)
    with stream(api) as found:
        told(found)
        assert api.metric("retrobus_followers") == 1
        refused = api.get("/public/changes/stream")

    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
    until(lambda: api.metric("retrobus_followers") == 0)
    with stream(api) as found:
        assert told(found)


def test_a_reader_that_takes_nothing_is_cut(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrobus.api.event_stream.PATIENCE", 0.2)
    text = "x" * 4000
    api.sql(
        "INSERT INTO vehicle (parc, is_public, description, history)"
        f" SELECT 'v' || i, true, '{text}', '{text}' FROM generate_series(1, 3000) i"
    )
    with socket.create_connection((api.base_url.host, api.base_url.port or 80)) as line:
        line.sendall(b"GET /public/changes/stream HTTP/1.1\r\nHost: x\r\n\r\n")
        line.recv(1)
        until(lambda: api.metric("retrobus_followers") == 0)

        assert _rest(line) < 3000 * 8000


def _rest(line: socket.socket) -> int:
    """Bytes that still come before the connection is cut."""
    total = 0
    try:
        while data := line.recv(65536):
            total += len(data)
    except ConnectionResetError:
        pass
    return total


def test_head_gives_the_head_alone(api: Api) -> None:
    answer = api.head("/public/changes/stream")

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    until(lambda: api.metric("retrobus_followers") == 0)
