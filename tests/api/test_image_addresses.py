"""The images of vehicles at addresses of their own: as files, for those who may see the vehicle."""

import json
from base64 import b64decode, b64encode
from urllib.parse import quote

import pytest

from builders import PIXEL, a_vehicle
from harness import Api, Person
from routes import assert_refused
from rows import create

LINK = "https://images.example.org/920/fond.jpg"
PNG = b64decode(PIXEL.partition(",")[2])
KINDS = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0rest",
    "image/gif": b"GIF89a\1\0\1\0rest",
    "image/webp": b"RIFF\x0a\0\0\0WEBPVP8 rest",
    "image/avif": b"\0\0\0\x20ftypavif\0rest",
}
HARMFUL = "<script>alert(document.domain)</script>"


def as_url(content: bytes, media: str = "image/png") -> str:
    return f"data:{media};base64,{b64encode(content).decode()}"


def addresses(parc: str) -> list[str]:
    """Both images of a vehicle, for members and for the public."""
    return [f"/{part}/vehicles/{parc}/{place}" for part in ("api", "public") for place in ("image", "gallery/1")]


def with_image(api: Api, who: Person, image: str | None, **fields: object) -> list[str]:
    """A vehicle with this image in both places; gives the addresses."""
    gallery = [LINK] if image is None else [LINK, image]
    return addresses(create(api, who, "vehicles", backgroundImage=image, gallery=gallery, **fields)["parc"])


@pytest.mark.parametrize(("media", "content"), KINDS.items(), ids=KINDS)
def test_an_image_is_sent_as_the_file_that_it_is(api: Api, manager: Person, media: str, content: bytes) -> None:
    for address in with_image(api, manager, as_url(content, "image/jpg")):
        answer = api.get(address, headers=manager.headers)

        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["Content-Type"] == media
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert answer.headers["X-Data-Source"] == "postgres"
        assert answer.headers["Cache-Control"] == ("private" if "/api/" in address else "public") + ", no-cache"


def test_a_head_says_how_long_the_image_is_and_sends_none(api: Api, manager: Person) -> None:
    for address in with_image(api, manager, PIXEL):
        answer = api.head(address, headers=manager.headers)

        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["Content-Length"] == str(len(PNG))


def test_a_reader_who_has_the_image_is_not_sent_it_again_until_it_changes(api: Api, manager: Person) -> None:
    row = create(api, manager, "vehicles", backgroundImage=PIXEL, gallery=[LINK, PIXEL])
    for address in addresses(row["parc"]):
        known = {"If-None-Match": f'W/"old", {api.get(address, headers=manager.headers).headers["ETag"]}'}
        path = f"/api/vehicles/{row['parc']}"

        api.put(path, json={"etat": "en panne"}, headers=manager.headers)
        kept = api.get(address, headers=manager.headers | known)
        other = as_url(PNG + b"2")
        api.put(path, json={"backgroundImage": other, "gallery": [LINK, other]}, headers=manager.headers)
        changed = api.get(address, headers=manager.headers | known)
        api.put(path, json={"backgroundImage": PIXEL, "gallery": [LINK, PIXEL]}, headers=manager.headers)

        assert (kept.status_code, kept.content, kept.headers["ETag"]) == (304, b"", known["If-None-Match"][9:])
        assert (changed.status_code, changed.content) == (200, PNG + b"2")


def test_any_version_will_do_for_a_star_if_there_is_one(api: Api, manager: Person) -> None:
    star = manager.headers | {"If-None-Match": "*"}

    assert {api.get(one, headers=star).status_code for one in with_image(api, manager, PIXEL)} == {304}
    assert {api.get(one, headers=star).status_code for one in with_image(api, manager, None)} == {404}
    broken = with_image(api, manager, "data:image/png;base64,AAAA")
    assert {api.get(one, headers=star).status_code for one in broken} == {404}


@pytest.mark.parametrize(
    ("sent", "location"),
    [
        (LINK, LINK),
        ("http://images.example.org/a%20b?c=d&e=[1]#f", "http://images.example.org/a%20b?c=d&e=[1]#f"),
        ('HTTPS://images.example.org/é "x"', "HTTPS://images.example.org/%C3%A9%20%22x%22"),
    ],
)
def test_an_image_elsewhere_is_pointed_at(api: Api, manager: Person, sent: str, location: str) -> None:
    for address in with_image(api, manager, sent):
        answer = api.get(address, headers=manager.headers)

        assert (answer.status_code, answer.headers["Location"]) == (302, location)
        assert answer.headers["Cache-Control"].endswith("no-cache")


UNUSABLE = {
    "a script": ("javascript:alert(1)", "http ou https"),
    "a script with spaces": (" javascript:alert(1)", "http ou https"),
    "no host": ("https:///x", "http ou https"),
    "another host in disguise": ("https:\\\\evil.example.org", "http ou https"),
    "a path of the website": ("/uploads/920.jpg", "http ou https"),
    "a place without its scheme": ("//images.example.org/920.jpg", "http ou https"),
    "a file": ("file:///etc/passwd", "http ou https"),
    "a page": (as_url(HARMFUL.encode(), "text/html"), "ces octets"),
    "a page that says it is an image": (as_url(HARMFUL.encode()), "ces octets"),
    "nothing": ("data:image/png;base64,", "ces octets"),
    "SVG": (as_url(f"<svg>{HARMFUL}</svg>".encode(), "image/svg+xml"), "SVG"),
    "SVG in plain text": (f"data:image/svg+xml,<svg>{HARMFUL}</svg>", "SVG"),
    "SVG that says it is PNG": (as_url(f"<svg>{HARMFUL}</svg>".encode()), "ces octets"),
    "no base64": ("data:image/png,abc", "base64"),
    "broken base64": ("data:image/png;base64,iVBORw0KGgo*", "base64"),
    "no comma": ("data:image/png;base64", "virgule"),
    "no type": ("data:,", "base64"),
}


@pytest.mark.parametrize(("image", "said"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_image_that_no_browser_should_be_sent_is_refused_with_the_reason(
    api: Api, manager: Person, image: str, said: str
) -> None:
    parc = create(api, manager, "vehicles")["parc"]
    api.sql(f"""UPDATE vehicle SET background_image = $one${image}$one$,
        gallery = jsonb_build_array(1, $one${image}$one$::text) WHERE parc = '{parc}'""")

    for address in addresses(parc):
        answer = api.get(address, headers=manager.headers)

        assert_refused(answer, 404, "unusable_image")
        assert said in answer.json()["detail"]
        assert answer.headers["X-Data-Source"] == "postgres"


@pytest.mark.parametrize("written", ["{0} ", "{0}===", "{0}", "%{1:02X}"])
def test_base64_is_read_as_browsers_read_it(api: Api, manager: Person, written: str) -> None:
    content = PNG + b"\xfb\xff"
    text = b64encode(content).decode().rstrip("=")
    sent = "data:image/png;name=x;BASE64," + "".join(written.format(text, ord(letter)) for letter in text[:1])
    sent += text[1:] if written.startswith("%") else ""

    for address in with_image(api, manager, sent):
        answer = api.get(address, headers=manager.headers)

        assert (answer.status_code, answer.content) == (200, content)


@pytest.mark.parametrize("place", ["2", "99", "100", "-1", "01", "1.0", "x", "٣", "1e0", "9" * 400])
def test_a_place_that_the_gallery_lacks_is_not_found(api: Api, manager: Person, place: str) -> None:
    for address in with_image(api, manager, PIXEL):
        if "gallery" in address:
            assert_refused(api.get(address[:-1] + quote(place), headers=manager.headers), 404, "not_found")


def test_what_is_no_text_in_a_gallery_is_no_image(api: Api, manager: Person) -> None:
    parc = create(api, manager, "vehicles")["parc"]
    gallery = json.dumps([None, 5, [PIXEL], {"a": PIXEL}])
    api.sql(f"UPDATE vehicle SET gallery = '{gallery}' WHERE parc = '{parc}'")

    for place in range(4):
        assert_refused(api.get(f"/public/vehicles/{parc}/gallery/{place}"), 404, "not_found")


def test_the_public_sees_no_image_of_a_vehicle_that_is_not_public(api: Api, manager: Person) -> None:
    for address in with_image(api, manager, PIXEL, isPublic=False):
        expected = 200 if "/api/" in address else 404

        assert api.get(address, headers=manager.headers).status_code == expected
        assert api.get(address, headers=manager.headers | {"If-None-Match": "*"}).status_code in {304, 404}


def test_a_vehicle_without_an_image_has_none(api: Api, manager: Person) -> None:
    for address in with_image(api, manager, None):
        assert_refused(api.get(address, headers=manager.headers), 404, "not_found")


@pytest.mark.parametrize("parc", ["PR 100 n° 12", "Éluard", 'a"b', "100%", "a?b#c", "%20", "🚌"])
def test_any_parc_has_an_address_and_a_file_name(api: Api, manager: Person, parc: str) -> None:
    api.post("/api/vehicles", json=a_vehicle(parc=parc, backgroundImage=PIXEL), headers=manager.headers)

    for part in ("api", "public", "api/public"):
        answer = api.get(f"/{part}/vehicles/{quote(parc, safe='')}/image", headers=manager.headers)

        assert answer.status_code == 200
        kind, plain, full = answer.headers["Content-Disposition"].split("; ")
        assert kind == "inline"
        assert full == f"filename*=UTF-8''{quote(parc, safe='')}.png"
        assert plain.startswith('filename="')
        assert not set(plain[10:-1]) & set('"\\%/; ')
        assert plain.isascii()


def test_an_image_of_several_megabytes_is_sent_whole(api: Api, manager: Person) -> None:
    content = KINDS["image/jpeg"] + bytes(range(256)) * 10_000

    for address in with_image(api, manager, as_url(content)):
        answer = api.get(address, headers=manager.headers)
        assert answer.content == content
