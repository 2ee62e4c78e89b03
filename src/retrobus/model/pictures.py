"""Images that rows hold as data URLs: decoded, and known by their first bytes, whatever type the URL says."""

import binascii
import re
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Picture:
    """The bytes of an image and their media type."""

    media: Media
    content: bytes

    @property
    def extension(self) -> str:
        """How the name of its file ends."""
        return self.media.removeprefix("image/").replace("jpeg", "jpg")


def is_data_url(value: bytes) -> bool:
    """Whether a value is an image itself and not the address of one."""
    return value[:5].lower() == b"data:"


def decoded(url: bytes) -> Picture:
    """The image of a data URL; ValueError, in French, if it is not in base64 or not an image of a known kind."""
    head = _HEAD.match(url)
    if head is None:
        raise ValueError("l'adresse data: n'a pas de virgule après son type")
    if head[1].lower().strip().startswith(b"image/svg"):
        raise ValueError(f"une image SVG peut contenir des scripts, elle n'est pas servie ; envoyez-la en {_KINDS}")
    if not head[2].lower().rstrip().endswith(b";base64"):
        raise ValueError("l'adresse data: n'est pas en base64")
    content = _bytes_of(url[head.end() :])
    media = next((media for signature, media in SIGNATURES if signature.match(content)), None)
    if media is None:
        raise ValueError(f"ces octets ne sont pas une image en {_KINDS}")
    return Picture(media, content)


def _bytes_of(text: bytes) -> bytes:
    """What a text in base64 says, read as browsers read it: `%2B` for `+`, and spaces or a missing end do not count."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:  # megabytes are looked through again only if they are not plain base64
        text = (unquote_to_bytes(text) if b"%" in text else text).translate(None, b" \t\n\f\r").rstrip(b"=")
    try:
        return binascii.a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except binascii.Error:
        raise ValueError("l'adresse data: n'est pas en base64 bien formé") from None
