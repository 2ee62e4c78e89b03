"""Images that rows hold as data URLs: decoded, and known by their first bytes, whatever type the URL says."""

import binascii
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal
from urllib.parse import unquote_to_bytes

Media = Literal["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"]

SIGNATURES: tuple[tuple[re.Pattern[bytes], Media], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "image/avif"),
)
"""The first bytes of the kinds of images that a browser draws and never executes. SVG is none of them: it may hold
scripts, which run when a person opens the address, or the saved file."""

_HEAD = re.compile(rb"data:([^,;]*)((?:;[^,;]*)*),", re.IGNORECASE)
_KINDS = "PNG, JPEG, GIF, WebP ou AVIF"


def is_data_url(value: bytes) -> bool:
    """Whether a value is an image itself and not the address of one."""
    return value[:5].lower() == b"data:"


def decoded(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of the image of a data URL, some for each piece of it.

    ValueError, in French, if it is not in base64 or not an image of a known kind; `media_of` knows the kind.
    """
    rest = iter(pieces)
    first = next(rest, b"")
    head = _HEAD.match(first)
    if head is None:
        raise ValueError("l'adresse data: n'a pas de virgule après son type")
    if head[1].lower().strip().startswith(b"image/svg"):
        raise ValueError(f"une image SVG peut contenir des scripts, elle n'est pas servie ; envoyez-la en {_KINDS}")
    if not head[2].lower().rstrip().endswith(b";base64"):
        raise ValueError("l'adresse data: n'est pas en base64")
    try:
        yield from _bytes_of(chain([first[head.end() :]], rest))
    except binascii.Error:
        raise ValueError("l'adresse data: n'est pas en base64 bien formé") from None


def media_of(content: bytes | bytearray) -> Media:
    """The kind of an image by its first bytes; ValueError, in French, if it is none that a browser only draws."""
    media = next((media for signature, media in SIGNATURES if signature.match(content)), None)
    if media is None:
        raise ValueError(f"ces octets ne sont pas une image en {_KINDS}")
    return media


def _bytes_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """What a text in base64 says, read as browsers read it: `%2B` for `+`, and spaces or a missing end do not count."""
    rest, ended = b"", False
    for piece in _unquoted(pieces):
        more = piece.translate(None, b" \t\n\f\r")
        text = (rest + more).rstrip(b"=")
        if b"=" in text or (ended and more.strip(b"=")):
            raise binascii.Error  # nothing may follow the end
        ended = ended or more.endswith(b"=")
        usable = len(text) - len(text) % 4
        rest = text[usable:]
        yield binascii.a2b_base64(text[:usable], strict_mode=True)
    yield binascii.a2b_base64(rest + b"=" * (-len(rest) % 4), strict_mode=True)


def _unquoted(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces with `%2B` read as `+`, also where a piece ends within these three letters."""
    kept = b""
    for piece in pieces:
        text = kept + piece
        cut = text.rfind(b"%", max(len(text) - 2, 0))
        text, kept = (text, b"") if cut < 0 else (text[:cut], text[cut:])
        yield unquote_to_bytes(text) if b"%" in text else text
    yield kept
