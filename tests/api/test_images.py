"""Images sent as data URLs: kept in full, shown by one vehicle, left out of lists."""

from base64 import b64decode, b64encode

import pytest

from builders import Body
from harness import Api, Person
from rows import create, pages, read, rows_of

PIXEL = "data:image/png;base64," + "iVBORw0KGgo" * 1000
LINK = "https://images.example.org/920/fond.jpg"


@pytest.mark.parametrize("path", ["/api/vehicles", "/public/vehicles"])
def test_a_list_says_that_there_are_images_instead_of_sending_them(api: Api, manager: Person, path: str) -> None:
    create(api, manager, "vehicles", backgroundImage=PIXEL, gallery=[LINK, PIXEL])

    [[row]] = pages(api, path, manager)

    assert (row["hasBackgroundImage"], row["hasGallery"]) == (True, True)
    assert not row.keys() & {"backgroundImage", "gallery"}
    assert len(str(row)) < 1000


def test_a_list_and_the_changes_name_the_address_of_each_image_that_they_leave_out(api: Api, manager: Person) -> None:
    image, other = as_url(b"1"), as_url(b"2")
    create(api, manager, "vehicles", parc='PR 100 n° "7"', backgroundImage=image, gallery=[other, LINK, image])
    lists = [rows for path in ("/api/vehicles", "/public/vehicles") for rows in pages(api, path, manager)]
    feeds = [api.get(path, headers=manager.headers).json()["changes"] for path in ("/api/changes", "/public/changes")]
    rows = [row for [row] in lists] + [item["row"] for feed in feeds for item in feed if item["resource"] == "Vehicle"]

    assert len(rows) == 4
    for row in rows:
        first, link, last = row["galleryUrls"]
        found = [api.get(address, headers=manager.headers) for address in (row["imageUrl"], first, last)]
        assert [answer.content for answer in found] == [content_of(each) for each in (image, other, image)]
        assert link == LINK
        assert {address.split("/")[1] for address in (row["imageUrl"], first, last)} == {
            "api" if "isPublic" in row else "public"
        }


def test_an_entry_that_is_no_address_stands_beside_the_addresses_as_it_was_written(api: Api, manager: Person) -> None:
    create(api, manager, "vehicles", gallery=["·:oE", as_url(b"1")])

    [row] = rows_of(api, manager, "vehicles")

    assert row["galleryUrls"][0] == "·:oE"
    promised = api.get("/openapi.json").json()["components"]["schemas"]["Vehicle"]["properties"]["galleryUrls"]["items"]
    assert promised == {"type": "string"}


def test_a_vehicle_without_images_of_its_own_names_no_address(api: Api, manager: Person) -> None:
    create(api, manager, "vehicles", backgroundImage=LINK, gallery=[LINK])

    [row] = rows_of(api, manager, "vehicles")

    assert not row.keys() & {"imageUrl", "galleryUrls"}


def as_url(content: bytes) -> str:
    return f"data:image/gif;base64,{b64encode(b'GIF89a' + content).decode()}"


def content_of(url: str) -> bytes:
    return b64decode(url.partition(",")[2])


@pytest.mark.parametrize("path", ["/api/vehicles", "/public/vehicles"])
@pytest.mark.parametrize("image", [LINK, None])
def test_a_list_shows_links_to_images(api: Api, manager: Person, path: str, image: str | None) -> None:
    create(api, manager, "vehicles", backgroundImage=image, gallery=[LINK])

    [[row]] = pages(api, path, manager)

    assert (row["backgroundImage"], row["gallery"]) == (image, [LINK])
    assert not row.keys() & {"hasBackgroundImage", "hasGallery"}


@pytest.mark.parametrize("path", ["/api/vehicles/920", "/public/vehicles/920"])
def test_one_vehicle_shows_its_images_in_full(api: Api, manager: Person, path: str) -> None:
    create(api, manager, "vehicles", parc="920", backgroundImage=PIXEL, gallery=[PIXEL])

    row = api.get(path, headers=manager.headers).json()

    assert (row["backgroundImage"], row["gallery"]) == (PIXEL, [PIXEL])
    assert not row.keys() & {"hasBackgroundImage", "hasGallery"}


def test_a_row_of_a_list_sent_back_erases_no_image(api: Api, manager: Person) -> None:
    created = create(api, manager, "vehicles", backgroundImage=PIXEL, gallery=[PIXEL])
    [listed] = rows_of(api, manager, "vehicles")

    answer = api.put(f"/api/vehicles/{created['parc']}", json={**listed, "etat": "en panne"}, headers=manager.headers)

    assert answer.status_code == 200
    assert kept(answer.json()) == kept(read(api, manager, "vehicles", created)) == kept(created)
    assert answer.json()["etat"] == "en panne"


def test_an_image_is_erased_by_saying_so(api: Api, manager: Person) -> None:
    row = create(api, manager, "vehicles", backgroundImage=PIXEL, gallery=[PIXEL])

    answer = api.put(
        f"/api/vehicles/{row['parc']}", json={"backgroundImage": "", "gallery": []}, headers=manager.headers
    )

    assert kept(answer.json()) == (None, [])


def test_an_image_of_several_megabytes_is_kept(api: Api, manager: Person) -> None:
    image = "data:image/jpeg;base64," + "A" * 3_600_000

    row = create(api, manager, "vehicles", backgroundImage=image)

    assert read(api, manager, "vehicles", row)["backgroundImage"] == image


def kept(row: Body) -> tuple[object, object]:
    return row["backgroundImage"], row["gallery"]
