"""The images of data URLs: read in pieces, they are what they are when read at once."""

import pytest

from retrobus.model.pictures import decoded

HEAD = b"data:image/png;base64,"
READABLE = {
    b"": b"",
    b"AA==": b"\0",
    b"AA": b"\0",
    b"AAA====": b"\0\0",
    b"%2B/8%3D": b"\xfb\xff",
    b"+ /\n8": b"\xfb\xff",
    b"QUJDREVGRw=\t=": b"ABCDEFG",
}
MALFORMED = (b"A", b"AA==AA==", b"A=AA", b"AA=A", b"AA%3DA", b"%2", b"%", b"%%41", b"AAA!", b"=AAA")


def pieces(text: bytes, size: int) -> list[bytes]:
    first = len(HEAD) + size
    return [(HEAD + text)[:first], *((HEAD + text)[at : at + size] for at in range(first, len(HEAD + text), size))]


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("text", READABLE)
def test_base64_says_the_same_in_pieces_of_any_size(text: bytes, size: int) -> None:
    assert b"".join(decoded(pieces(text, size))) == READABLE[text]


@pytest.mark.parametrize("size", range(1, 9))
@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_base64_is_refused_wherever_a_piece_ends(text: bytes, size: int) -> None:
    with pytest.raises(ValueError, match="pas en base64 bien formé"):
        list(decoded(pieces(text, size)))
