"""Request bodies: read within their limits, parsed strictly, checked by the model that the route declares."""

import hashlib
import re
from asyncio import get_running_loop
from asyncio import timeout as deadline
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fastapi import Request
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from retrobus.api.service import Limits
from retrobus.http.problems import Problem, invalid
from retrobus.model.field_errors import field_errors
from retrobus.model.fields import Wire
from retrobus.model.jsontext import BadJson, parse
from retrobus.model.resources import Resource
from retrobus.model.texts import one_line
from retrobus.model.wire import known_names
from retrobus.store.contract import Row
from retrobus.words import grouped

BODY_PATIENCE = 15.0
"""Seconds within which the next `BODY_PROGRESS` bytes of a body, or its end, must have arrived."""

BODY_PROGRESS = 32_768
"""Bytes that count as progress: a body of any size may come at 2.2 kB/s; slower than that is a client that stalls."""

_MEDIA = re.compile(r"application/([\w.-]+\+)?json")
_CHARSET = re.compile(r"""charset\s*=\s*["']?([^"';\s]*)""")
ASCII_OR_UTF8 = frozenset({"utf-8", "utf8", "utf_8", "unicode-1-1-utf-8", "us-ascii", "ascii", "iso-ir-6", "iso646-us"})
"""The spellings of the character sets whose bytes are UTF-8."""


@dataclass(frozen=True)
class Body:
    """What a route takes in its body: the fields of `model`, about a row of `resource` if it has one.

    Without a model the route ignores the fields that the client sent. With `key`, the body also holds the id of the
    row, which has this schema. `schema` names the component that describes the body, by default the model.
    """

    model: type[Wire] | None = None
    resource: Resource | None = None
    key: dict[str, Any] | None = None
    schema: str | None = None

    @property
    def component(self) -> str | None:
        """The component of the OpenAPI document that describes the body; None for a body that is ignored."""
        return self.schema or (self.model.__name__ if self.model else None)

    async def read(self, request: Request, limits: Limits) -> tuple[str, Row]:
        """The key in the body, empty if there is none, and the fields that the client sent, by column name."""
        limit = limits.image_body if self.resource is not None and self.resource.images else limits.body
        if self.component is None:
            await _received(request, limit)
            return "", {}
        value = await _object(request, limit)
        key = _key_in(value) if self.key else ""
        return key, _fields(self.model, self.resource, value) if self.model else {}


IGNORED = Body()


@lru_cache
def _aliases(model: type[Wire]) -> frozenset[str]:
    return frozenset(field.alias or name for name, field in model.model_fields.items())


def _fields(model: type[Wire], resource: Resource | None, value: dict[str, Any]) -> Row:
    """The fields, checked; 400 if the client sent none that the service knows."""
    known = _aliases(model)
    if known.isdisjoint(value) and (resource is None or known_names(resource).isdisjoint(value)):
        raise Problem("no_known_field", f"Aucun champ connu ici ; champs possibles : {', '.join(sorted(known))}.")
    try:
        return model.model_validate(value).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise invalid(*field_errors(error)) from None


def _key_in(value: dict[str, Any]) -> str:
    if not isinstance(value.get("id"), str) or not value["id"]:
        raise invalid(("id", "l'id du membre est attendu, en texte"))
    try:
        return str(one_line(value["id"]))
    except ValueError as error:
        raise invalid(("id", str(error))) from None


async def _object(request: Request, limit: int) -> dict[str, Any]:
    """The JSON object in the body."""
    kind, _, rest = request.headers.get("content-type", "application/json").lower().partition(";")
    if not _MEDIA.fullmatch(kind.strip()):
        raise Problem("unsupported_media_type", "Content-Type attendu : application/json.")
    if not set(_CHARSET.findall(rest)) <= ASCII_OR_UTF8:
        raise Problem("unsupported_media_type", "Jeu de caractères attendu : UTF-8.")
    try:
        value = parse(await _received(request, limit))
    except BadJson as error:
        raise Problem("malformed_json", f"{error}.") from error
    if not isinstance(value, dict):
        raise Problem("malformed_json", "Objet JSON attendu : {…}.")
    return value


async def _received(request: Request, limit: int) -> bytes:
    """The whole body, refused while it arrives once it is longer than the limit or stalls.

    Leaves its hash in the request's state: two requests with one Idempotency-Key must have the same body.
    """
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise _too_large(limit)
    try:
        body = await _arrived(request, limit)
    except TimeoutError:
        raise Problem("body_timeout") from None
    except ClientDisconnect:
        raise Problem("bad_request", "Le corps n'est pas arrivé en entier.") from None
    request.state.fingerprint = hashlib.sha256(body).digest()
    return bytes(body)


async def _arrived(request: Request, limit: int) -> bytearray:
    """The body as it arrives; TimeoutError when it makes no progress."""
    body, noted, clock = bytearray(), 0, get_running_loop().time
    async with deadline(BODY_PATIENCE) as patience:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise _too_large(limit)
            if len(body) - noted >= BODY_PROGRESS:
                noted = len(body)
                patience.reschedule(clock() + BODY_PATIENCE)
    return body


def _too_large(limit: int) -> Problem:
    return Problem("body_too_large", f"Au plus {grouped(limit)} octets ici.")
