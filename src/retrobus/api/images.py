"""The images of vehicles at addresses of their own, so that lists can name them and browsers can keep them."""

import asyncio
import re
from collections.abc import Sequence
from urllib.parse import quote

from fastapi import Response

from retrobus.api.answers import Answer
from retrobus.api.calls import Call, Routes
from retrobus.api.conditions import already_has, etags_known
from retrobus.api.declaration import Route
from retrobus.api.public import PUBLIC
from retrobus.api.rights import ANYONE, MEMBERS
from retrobus.http.problems import Problem, origin_headers
from retrobus.model.limits import GALLERY_ENTRIES
from retrobus.model.patterns import PARC_KEY
from retrobus.model.pictures import Media, decoded, is_data_url, media_of
from retrobus.model.resources import VEHICLE
from retrobus.store.contract import Filter, Image, Sought
from retrobus.store.errors import NotFound

PLACE = {
    "type": "integer",
    "minimum": 0,
    "maximum": GALLERY_ENTRIES - 1,
    "description": "The place in `gallery`, from 0.",
}
IMAGE = Answer(
    None, tagged=True, media="image/*", redirects="The vehicle has the address of an image elsewhere: it is there."
)

router = Routes("images", parc=PARC_KEY, n=PLACE)

_PLACE = re.compile(r"0|[1-9][0-9]{0,2}")
_LINK = re.compile(rb"https?://[^\s/?#\\]", re.IGNORECASE)
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
HARMLESS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
"""A browser draws these bytes as the image that they are, and takes them for nothing else."""


@router.declare(Route("GET", "/api/vehicles/{parc}/image", MEMBERS, IMAGE))
async def get_vehicle_image(call: Call) -> Response:
    """The image in `backgroundImage`, as a file: PNG, JPEG, GIF, WebP or AVIF by its first bytes.

    The ETag changes with the image only. 404 if there is none, or `unusable_image` if it is no such file; SVG is
    refused, since it may hold scripts.
    """
    return await _image(call, "background_image")


@router.declare(Route("GET", "/api/vehicles/{parc}/gallery/{n}", MEMBERS, IMAGE))
async def get_vehicle_gallery_image(call: Call) -> Response:
    """The image at the place `n` of `gallery`, counted from 0 as in the JSON of the vehicle."""
    return await _image(call, "gallery")


@router.declare(Route("GET", "/public/vehicles/{parc}/image", ANYONE, IMAGE))
async def get_public_vehicle_image(call: Call) -> Response:
    """The same for a public vehicle; one that is not public is unknown here."""
    return await _image(call, "background_image", PUBLIC)


@router.declare(Route("GET", "/public/vehicles/{parc}/gallery/{n}", ANYONE, IMAGE))
async def get_public_vehicle_gallery_image(call: Call) -> Response:
    """The same for the gallery of a public vehicle."""
    return await _image(call, "gallery", PUBLIC)


async def _image(call: Call, column: str, filters: tuple[Filter, ...] = ()) -> Response:
    place = call.request.path_params.get("n")
    if place is not None and not _PLACE.fullmatch(place):
        raise NotFound
    at = None if place is None else int(place)
    sought = Sought(VEHICLE, call.key, column, at, etags_known(call.request))
    async with call.service.image_turns:
        found = await call.store.image(sought, filters=filters, caller=call.caller)
        return await _answer(call, found, call.key if at is None else f"{call.key}-{at}")


async def _answer(call: Call, found: Image, name: str) -> Response:
    """The image, 304 for a reader who has it, or the way to where it is; 404 says why it cannot be served."""
    etag, audience = f'"{found.tag}"', "public" if call.caller is None else "private"
    headers = {"Cache-Control": f"{audience}, no-cache", **origin_headers(found.origin)}
    if found.pieces is None:
        return Response(status_code=304, headers=headers | {"ETag": etag})
    try:
        if not is_data_url(found.pieces[0]):
            return Response(status_code=302, headers=headers | {"Location": _location(b"".join(found.pieces))})
        content = await _content(found.pieces)
        media = media_of(content)
    except ValueError as error:
        raise Problem(
            "unusable_image", f"Image inutilisable : {error}.", headers=origin_headers(found.origin)
        ) from None
    headers |= {"ETag": etag}
    if already_has(call.request, etag):
        return Response(status_code=304, headers=headers)
    headers |= HARMLESS | {"Content-Disposition": _named(name, media)}
    return Response(memoryview(content), headers=headers, media_type=media)


async def _content(pieces: Sequence[bytes]) -> bytearray:
    """The bytes of the image; other requests have their turn after each piece: all take tens of milliseconds."""
    content = bytearray()
    for part in decoded(pieces):
        content += part
        await asyncio.sleep(0)
    return content


def _location(value: bytes) -> str:
    """The address as a header takes it; ValueError for any but http and https (`javascript:`, a path of the website).

    No open redirect: managers alone write the address, and no part of the request goes into it. So a stranger cannot
    make a link to this service that leads to a place of his choice.
    """
    if not _LINK.match(value.strip()):
        raise ValueError("son adresse n'est pas une adresse http ou https complète")
    return quote(value.strip(), safe="%/:=&?~#+!$,;'@()*[]")


def _named(name: str, media: Media) -> str:
    """The name of the file for a person who keeps it: in ASCII, and as it is for programs that read more."""
    extension = media.removeprefix("image/").replace("jpeg", "jpg")
    plain, full = (f"{text}.{extension}" for text in (_UNSAFE.sub("_", name), name))
    return f"inline; filename=\"{plain}\"; filename*=UTF-8''{quote(full, safe='')}"
