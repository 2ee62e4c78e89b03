"""The files of the Studio: how they are served, what they weigh, and that one setting switches them off."""

import re
from pathlib import Path

import pytest

import retrobus
from harness import Api, served, settings_for
from retrobus.accounts.roles import MANAGERS
from retrobus.api.studio import studio_files

FOLDER = Path(retrobus.__file__).parent / "studio"
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.suffix not in {".py", ""})
MODULES = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.js")}
MEDIA = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8",
         ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}  # fmt: skip
COMMENT = re.compile(r"\s*(//|/\*|\*)")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.mark.parametrize("address", ["/studio/", *(f"/studio/{name}" for name in NAMES)])
def test_a_file_of_the_page_comes_with_its_protection_and_is_asked_for_again_by_its_etag(
    shared_api: Api, address: str
) -> None:
    first = shared_api.get(address)
    again = shared_api.get(address, headers={"If-None-Match": first.headers["ETag"]})
    head = shared_api.head(address)

    path = FOLDER / (address.removeprefix("/studio/") or "index.html")
    assert (first.status_code, first.content) == (200, path.read_bytes())
    assert first.headers["Content-Type"] == MEDIA[path.suffix]
    assert (again.status_code, again.content) == (304, b"")
    assert (head.status_code, head.content) == (200, b"")
    for answer in (first, again, head):
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-cache"
        assert answer.headers["ETag"] == first.headers["ETag"]


def test_a_changed_file_has_another_etag() -> None:
    etags = [file.etag for file in studio_files().values()]

    assert len(set(etags)) == len(etags) == len(NAMES)


def test_the_address_without_a_slash_leads_to_the_page_also_behind_a_prefix(shared_api: Api) -> None:
    answer = shared_api.get("/studio")

    assert (answer.status_code, answer.headers["Location"]) == (308, "studio/")
    assert str(answer.next_request.url).endswith("/studio/") if answer.next_request else False


@pytest.mark.parametrize("address", ["/studio/nothing.js", "/studio/__init__.py", "/studio/main.js/", "/studio/a/b.js"])
def test_what_is_no_file_of_the_page_is_unknown(shared_api: Api, address: str) -> None:
    answer = shared_api.get(address)

    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_route")


def test_the_page_takes_no_write(shared_api: Api) -> None:
    answer = shared_api.post("/studio/", json={})

    assert (answer.status_code, answer.headers["Allow"]) == (405, "HEAD, GET")


def test_the_front_door_shows_the_way_to_the_page(shared_api: Api) -> None:
    assert shared_api.get("/").json()["studio"] == "/studio/"


def test_one_setting_switches_the_page_off(database: str) -> None:
    with served(settings_for(database, studio=False), database) as api:
        answers = [api.get(address) for address in ("/studio", "/studio/", "/studio/main.js")]
        door = api.get("/").json()

    assert [answer.json()["code"] for answer in answers] == ["unknown_route"] * 3
    assert "studio" not in door


def test_every_file_that_the_page_loads_is_here_and_no_other_host_is_named() -> None:
    html = (FOLDER / "index.html").read_text(encoding="utf-8")
    loaded = re.findall(r'(?:src|href)="([^"#]+)"', html)
    imported = [name for text in MODULES.values() for name in re.findall(r'^import .*"([^"]+)";$', text, re.MULTILINE)]

    assert set(loaded) <= set(NAMES)
    assert set(MODULES) <= set(loaded), "a module that index.html does not preload makes the first paint wait"
    assert {name.removeprefix("./") for name in imported} | {"main.js"} == set(MODULES)
    assert not [text for text in (html, *MODULES.values()) if re.search(r"https?://(?!www\.w3\.org/)\w", text)]


def test_the_page_is_light_and_short() -> None:
    weight = sum(len(file.content) for file in studio_files().values())
    lines = [line for text in MODULES.values() for line in text.splitlines()]

    assert weight <= 120_000
    assert len([line for line in lines if line.strip() and not COMMENT.match(line)]) <= 1_200
    assert [line for line in lines if len(line) > 120] == []


def test_what_people_read_has_the_spaces_of_french_typography() -> None:
    texts = [part for text in MODULES.values() for part in re.findall(r'"([^"\n]*)"', text)]
    texts += re.findall(r">([^<>]+)<", (FOLDER / "index.html").read_text(encoding="utf-8"))

    assert [part for part in texts if re.search(r"\w [:;!?»]( |$)|« ", part)] == []


def test_the_page_asks_for_the_templates_and_sentences_that_index_html_has() -> None:
    html = (FOLDER / "index.html").read_text(encoding="utf-8")
    script = "\n".join(MODULES.values())

    templates = {*re.findall(r'\b(?:template|ask)\("([\w-]+)"', script)}
    assert templates | {"texts", "apply", "discard"} == {*re.findall(r'<template id="([\w-]+)"', html)}
    sentences = {*re.findall(r'\bphrase\("([\w-]+)"', script)}
    levels, outcomes, durabilities = {"warning", "error"}, {"not_applied", "unknown"}, {"done", "journal", "memory"}
    assert sentences | levels | outcomes | durabilities == {*re.findall(r'data-text="([\w-]+)"', html)}


def test_no_text_of_a_row_can_become_a_part_of_the_page() -> None:
    writing = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|srcdoc|DOMParser"
    )

    assert {name for name, text in MODULES.items() if writing.search(text)} == set()


def test_the_page_has_a_control_for_each_kind_of_field_that_a_form_may_have(shared_api: Api) -> None:
    schemas = shared_api.get("/openapi.json").json()["components"]["schemas"]
    [made, also] = re.findall(
        r"KINDS = \{(.*?)\n\};\nObject\.assign\(KINDS, (.*?)\);", MODULES["fields.js"], re.DOTALL
    )[0]

    known = {*re.findall(r"^ *(\w+):", made, re.MULTILINE), *re.findall(r"(\w+),", made.splitlines()[-1])}
    known |= {*re.findall(r"(\w+):", also)}
    bodies = [
        schema for name, schema in schemas.items() if re.fullmatch(r"(Vehicle|Event|Member)(Change|Creation)", name)
    ]
    assert {field["x-kind"] for schema in bodies for field in schema["properties"].values()} <= known
    assert len(bodies) == 6


def test_the_page_knows_the_roles_of_those_who_may_write() -> None:
    [listed] = re.findall(r"const MANAGERS = new Set\(\[(.*?)\]\)", MODULES["session.js"])

    assert set(re.findall(r'"(\w+)"', listed)) == MANAGERS
