"""Rows made and read over HTTP: what most tests of the routes start from."""

from collections.abc import Callable, Iterator

from builders import Body, a_member, a_vehicle, an_event
from harness import Api, Person

BODIES: dict[str, Callable[..., Body]] = {"events": an_event, "vehicles": a_vehicle, "members": a_member}
"""How the body of a new row is made, by the name of its list."""

KINDS = tuple(BODIES)


def path_of(kind: str, row: Body) -> str:
    """Where a row of this kind is."""
    return f"/api/{kind}/{row['parc' if kind == 'vehicles' else 'id']}"


def create(api: Api, who: Person, kind: str, **fields: object) -> Body:
    """A new row, as the service answered it."""
    answer = api.post(f"/api/{kind}", json=BODIES[kind](**fields), headers=who.headers)
    assert answer.status_code == 201, answer.text
    row: Body = answer.json()
    return row


def read(api: Api, who: Person, kind: str, row: Body) -> Body:
    """The row as it is now."""
    answer = api.get(path_of(kind, row), headers=who.headers)
    assert answer.status_code == 200, answer.text
    found: Body = answer.json()
    return found


def rows_of(api: Api, who: Person, kind: str, query: str = "") -> list[Body]:
    """The rows of one page of a private list."""
    answer = api.get(f"/api/{kind}{query}", headers=who.headers)
    assert answer.status_code == 200, answer.text
    found: list[Body] = answer.json()[kind]
    return found


def pages(api: Api, path: str, who: Person | None = None) -> Iterator[list[Body]]:
    """Every page of a list, found as clients find it: by the Link header."""
    following: str | None = path
    while following is not None:
        answer = api.get(following, headers=who.headers if who else None)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        yield found if isinstance(found, list) else next(rows for rows in found.values() if isinstance(rows, list))
        following = answer.links.get("next", {}).get("url")


def refused_fields(answer: Body) -> list[str]:
    """The fields that a 422 or 409 complains about."""
    return sorted(item["field"] for item in answer["errors"])
