"""Proves a caller for routes that answer although PostgreSQL is away: then the verified token alone says who calls."""

from retrobus.api.calls import Call
from retrobus.http.problems import origin_headers, unauthenticated
from retrobus.model.resources import MEMBER
from retrobus.store.errors import NotFound, Unavailable


async def proved(call: Call) -> dict[str, str]:
    """The headers that say who proved the caller: PostgreSQL, memory, or the token alone; 401 without access."""
    try:
        found = await call.store.get(MEMBER, call.who.id, view="one", caller=call.who)
    except NotFound:
        raise unauthenticated() from None
    except Unavailable:
        return {"X-Data-Source": "token"}
    return origin_headers(found.origin)
