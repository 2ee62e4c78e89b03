"""What every store promises, on each of them: the images of vehicles."""

import json
from hashlib import sha256

import pytest

from retrobus.model.resources import VEHICLE
from retrobus.store.contract import Filter
from retrobus.store.errors import NotFound
from stores import Subject, a_vehicle, setting

IMAGE = "data:image/png;base64,iVBORw0KGgo="
LINK = "https://images.example.org/é.jpg"
GALLERY = json.dumps([IMAGE, LINK, "", 5, None, [IMAGE], {"a": 1}], ensure_ascii=False)


def tag(image: str) -> str:
    return sha256(image.encode()).hexdigest()[:32]


@pytest.mark.parametrize("image", [IMAGE, LINK, "data:", "", IMAGE * 20_000], ids=lambda value: f"{len(value)}")
def test_an_image_comes_as_it_was_sent_with_a_tag_of_itself(subject: Subject, image: str) -> None:
    subject.given(VEHICLE, a_vehicle("920", background_image=image, gallery=json.dumps([LINK, image])))

    for found in (subject.image("920"), subject.image("920", "gallery", at=1)):
        assert (found.value, found.tag) == (image.encode(), tag(image))
        assert found.origin.source == ("memory" if subject.from_memory else "postgres")


def test_a_reader_who_knows_the_tag_is_spared_the_image(subject: Subject) -> None:
    subject.given(VEHICLE, a_vehicle("920", background_image=IMAGE, gallery=json.dumps([IMAGE])))
    known = ("other", tag(IMAGE))

    for found in (subject.image("920", known=known), subject.image("920", "gallery", at=0, known=known)):
        assert (found.value, found.tag) == (None, tag(IMAGE))
    assert subject.image("920", known=("other", IMAGE)).value == IMAGE.encode()


def test_the_tag_moves_with_the_image_only(subject: Subject) -> None:
    subject.given(VEHICLE, a_vehicle("920", background_image=IMAGE))
    subject.update(VEHICLE, "920", setting(etat="en panne"))
    assert subject.image("920").tag == tag(IMAGE)

    subject.update(VEHICLE, "920", setting(background_image=LINK))
    assert subject.image("920").tag == tag(LINK)


@pytest.mark.parametrize(
    ("key", "column", "at"),
    [
        ("921", "background_image", None), ("920", "background_image", None), ("nothing", "background_image", None),
        ("920", "gallery", 3), ("920", "gallery", 4), ("920", "gallery", 5), ("920", "gallery", 6),
        ("920", "gallery", 7), ("920", "gallery", 999), ("921", "gallery", 0),
    ],
)  # fmt: skip
def test_what_is_no_text_is_no_image(subject: Subject, key: str, column: str, at: int | None) -> None:
    subject.given(VEHICLE, a_vehicle("920", gallery=GALLERY), a_vehicle("921"))

    with pytest.raises(NotFound):
        subject.image(key, column, at=at)


def test_a_filter_hides_the_images_of_a_row(subject: Subject) -> None:
    subject.given(VEHICLE, a_vehicle("920", background_image=IMAGE, gallery=GALLERY, is_public=False))

    assert subject.image("920", "background_image", Filter("is_public", "=", False), caller=None).value
    for column, at in (("background_image", None), ("gallery", 0)):
        with pytest.raises(NotFound):
            subject.image("920", column, Filter("is_public", "=", True), at=at, known=(tag(IMAGE),), caller=None)
