"""The query parameters of lists, filters, limit and cursor: read here and described here."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import Request

from retrobus.http.problems import Problem, invalid
from retrobus.model import patterns
from retrobus.model.columns import Moment
from retrobus.model.names import snake
from retrobus.model.quantities import moment_of
from retrobus.model.resources import Resource
from retrobus.model.sorting import is_place
from retrobus.model.texts import one_line
from retrobus.store.contract import Filter

PAGE = 1000
"""Rows in a page of a list, at most; a client may ask for fewer."""

FOREIGN = frozenset({"offset", "page", "skip"})
"""How other APIs ask for a page: a client that sends one would take the first page for each page."""

HIGHEST = 2**63
"""Above every number that PostgreSQL counts."""

PAGING: dict[str, dict[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": PAGE, "default": PAGE},
    "cursor": {
        "type": "string",
        "pattern": patterns.CURSOR,
        "description": "`nextCursor` of the page before, or the `cursor` in its Link header; any other is refused.",
    },
}


@dataclass(frozen=True)
class Parameter:
    """A query parameter that filters a list: its schema, and the filter that a value means; ValueError refuses it."""

    name: str
    schema: dict[str, Any]
    filter: Callable[[str], Filter]


def text(name: str, *, fold: bool = False) -> Parameter:
    """Rows whose column holds this text; spaces around it do not count, nor ASCII case if `fold`."""
    schema = {"type": "string", "pattern": patterns.LINE}
    return Parameter(name, schema, lambda value: Filter(snake(name), "=", value.strip(), fold))


def one_of(name: str, allowed: tuple[str, ...]) -> Parameter:
    """Rows whose column holds this one of a few values."""

    def read(value: str) -> Filter:
        if value not in allowed:
            raise ValueError(f"valeurs possibles : {', '.join(allowed)}")
        return Filter(snake(name), "=", value)

    return Parameter(name, {"type": "string", "enum": list(allowed)}, read)


def flag(name: str) -> Parameter:
    """Rows whose column is true, or false."""
    words = one_of(name, ("true", "false"))
    return Parameter(
        name, {"type": "boolean"}, lambda value: Filter(snake(name), "=", words.filter(value).value == "true")
    )


def period(column: str) -> tuple[Parameter, Parameter]:
    """Rows from an instant, inclusive, to another, exclusive."""
    return _bound("from", column, ">=", "First instant, inclusive"), _bound(
        "to", column, "<", "Last instant, exclusive"
    )


def since(column: str) -> Parameter:
    """Rows from an instant on."""
    return _bound("since", column, ">=", "First instant, inclusive")


def _bound(name: str, column: str, operator: Literal[">=", "<"], said: str) -> Parameter:
    schema = {"type": "string", "pattern": patterns.MOMENT, "examples": ["2025-09-20T14:00:00Z", "2025-09-20"]}
    described = schema | {"description": f"{said}: RFC 3339, or a day."}
    return Parameter(name, described, lambda value: Filter(column, operator, _instant(value)))


def _instant(value: str) -> Any:
    """An instant; the `+` of its offset has become a space if the client did not encode it."""
    return moment_of(value.replace(" ", "+") if "T" in value else value)


def filters_of(values: dict[str, str], parameters: Iterable[Parameter]) -> tuple[Filter, ...]:
    """The filters that the client asked for."""
    found = []
    for parameter in parameters:
        if parameter.name in values:
            try:
                found.append(parameter.filter(values[parameter.name]))
            except ValueError as error:
                raise invalid((parameter.name, str(error))) from None
    return tuple(found)


def values_of(request: Request, parameters: Iterable[Parameter]) -> dict[str, str]:
    """The values of these parameters, of `limit` and of `cursor`, each at most once, as clean text."""
    return named_values(request, {*PAGING, *(parameter.name for parameter in parameters)})


def named_values(request: Request, names: Container[str]) -> dict[str, str]:
    """The values of the query parameters with these names, each at most once, as clean text."""
    found: dict[str, str] = {}
    for name, value in _pairs(request):
        if name in FOREIGN:
            raise invalid((name, "inconnu ici ; la page suivante se demande par cursor, le nombre de lignes par limit"))
        if name in found:
            raise invalid((name, "une seule fois"))
        if name in names:
            try:
                found[name] = str(one_line(value))
            except ValueError as error:
                raise invalid((name, str(error))) from None
    return found


def _pairs(request: Request) -> list[tuple[str, str]]:
    try:
        raw = request.scope["query_string"].decode("ascii")
        return parse_qsl(raw, keep_blank_values=True, errors="strict", max_num_fields=100)
    except (UnicodeDecodeError, ValueError):
        raise Problem("bad_request", "Paramètres d'adresse illisibles : UTF-8 encodé attendu.") from None


def limit_of(values: dict[str, str]) -> int:
    """How many rows the client asked for."""
    limit = values.get("limit", str(PAGE))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= len(str(PAGE)) and 1 <= int(limit) <= PAGE):
        raise invalid(("limit", f"un entier de 1 à {PAGE}"))
    return int(limit)


def place_of(values: dict[str, str], resource: Resource) -> tuple[Any, ...] | None:
    """After which sort values the page begins; 422 for a cursor that is not of this resource's lists."""
    if "cursor" not in values:
        return None
    columns = [resource.table.c[step.column] for step in resource.order]
    with suppress(ValueError, TypeError, RecursionError):
        match _sent(values["cursor"]):
            case [*sent] if len(sent) == len(columns):
                pairs = zip(columns, sent, strict=True)
                place = tuple(moment_of(v) if isinstance(c.type, Moment) else _sort_text(v) for c, v in pairs)
                if is_place(resource, place):
                    return place
    raise invalid(("cursor", "inconnu ; reprenez celui de nextCursor"))


def number_of(values: dict[str, str], name: str) -> int | None:
    """After which number the page begins, of a list with this name and in this order; 422 for another cursor."""
    if "cursor" not in values:
        return None
    with suppress(ValueError, TypeError, RecursionError):
        match _sent(values["cursor"]):
            case [said, int(number)] if said == name and type(number) is int and 0 <= number < HIGHEST:
                return number
    raise invalid(("cursor", "inconnu ; reprenez celui de nextCursor"))


def _sent(cursor: str) -> Any:
    return json.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))


def _sort_text(value: object) -> str:
    """A text as a row may hold it, also one that only SQL could write; TypeError or ValueError for any other value."""
    if not isinstance(value, str) or "\0" in value:
        raise TypeError
    value.encode()
    return value


def cursor_of(place: tuple[Any, ...]) -> str:
    """The cursor that asks for the rows after these sort values."""
    return urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def next_page(request: Request, cursor: str) -> str:
    """The Link header: the address of the request with this cursor in place of its own."""
    asked = parse_qsl(request.scope["query_string"].decode(), keep_blank_values=True)
    query = urlencode([*((name, value) for name, value in asked if name != "cursor"), ("cursor", cursor)])
    return f'<{quote(request.scope["path"])}?{query}>; rel="next"'
