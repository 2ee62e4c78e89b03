"""The public events as calendars that visitors subscribe to."""

import asyncio
import hashlib
from urllib.parse import quote

from fastapi import Response

import retrobus
from retrobus.api.answers import Answer
from retrobus.api.calls import Call, Routes
from retrobus.api.conditions import already_has
from retrobus.api.declaration import Route
from retrobus.api.public import PUBLIC
from retrobus.api.queries import PAGE
from retrobus.api.rights import ANYONE
from retrobus.http.problems import origin_headers
from retrobus.model.patterns import PARC_KEY
from retrobus.model.resources import EVENT, VEHICLE
from retrobus.store.contract import Filter, Page, Query

router = Routes("public", "/public", parc=PARC_KEY)

ANNOUNCED = (Filter("status", "announced", None), Filter("extras", "json", None))
NAME = "RétroBus"
TURN = 10
"""Events that are written before other requests have a turn: some milliseconds."""

CALENDAR = Answer(None, media="text/calendar", tagged=True)


@router.declare(Route("GET", "/events.ics", ANYONE, CALENDAR))
async def get_public_calendar(call: Call) -> Response:
    """Published events as an iCalendar to subscribe to: the 1,000 latest by date.

    A published event that is archived is told as cancelled until it changes again. `SEQUENCE` grows with each change
    of an event. Without a `time` an event lasts its whole day, else it begins at that time in Paris. The `tags` of
    `extras` are its categories.
    """
    return await _calendar(call, NAME, "")


@router.declare(Route("GET", "/vehicles/{parc}/events.ics", ANYONE, CALENDAR))
async def get_public_vehicle_calendar(call: Call) -> Response:
    """The same for the events of one public vehicle."""
    found = await call.store.get(VEHICLE, call.key, view="public_list", filters=PUBLIC, caller=None)
    return await _calendar(call, f"{NAME} – {found.key}", f"-{found.key}", Filter("vehicle_id", "=", found.key))


async def _calendar(call: Call, name: str, suffix: str, *filters: Filter) -> Response:
    """The calendar; 304 to a reader who has it already, before a line of it is written."""
    query = Query("public_list", (*ANNOUNCED, *filters), limit=PAGE)
    page = await call.store.find(EVENT, query, caller=None)
    etag = _etag(name, page)
    headers = {"ETag": etag, "Cache-Control": "no-cache", **origin_headers(page.origin)}
    if already_has(call.request, etag):
        return Response(status_code=304, headers=headers)
    file = f"retrobus{suffix}.ics"
    headers["Content-Disposition"] = f"attachment; filename=\"retrobus.ics\"; filename*=UTF-8''{quote(file, safe='')}"
    return Response(await _written(name, page), 200, headers, "text/calendar; charset=utf-8")


def _etag(name: str, page: Page) -> str:
    """Changes with the name, with any event, and with the version of this program, which may write them otherwise."""
    digest = hashlib.sha256(f"{retrobus.__version__}\n{name}\n".encode())
    for document in page.documents:
        digest.update(document)
    return f'"{digest.hexdigest()[:32]}"'


async def _written(name: str, page: Page) -> bytes:
    from retrobus.api import calendar_text  # noqa: PLC0415 - icalendar: 3 MB and 40 ms that a start need not wait for

    parts = [calendar_text.head(name)]
    for number, document in enumerate(page.documents, 1):
        parts.append(calendar_text.event_text(document))
        if number % TURN == 0:
            await asyncio.sleep(0)
    return b"".join((*parts, calendar_text.END))
