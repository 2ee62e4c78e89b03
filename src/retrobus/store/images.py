"""The SQL that reads one image of a row: the image itself only for a reader who does not have it.

It comes in pieces. As one value of megabytes it would be copied at once, while every other request waits.
"""

from functools import lru_cache
from operator import itemgetter
from typing import Any

from sqlalchemy import Integer, bindparam
from sqlalchemy.dialects.postgresql import JSONB

from retrobus.model.resources import Resource
from retrobus.store.contract import PIECE, Image
from retrobus.store.errors import NotFound
from retrobus.store.statements import Shape, Statement, one


@lru_cache(maxsize=16)
def image(resource: Resource, name: str, shape: Shape, *, access: bool) -> Statement:
    """One image with its tag, one row for each piece; takes the `known` tags, and `at` of a list.

    The image is read and summed once: OFFSET 0 keeps PostgreSQL from putting the inner expressions into the outer ones.
    """
    column = resource.table.c[name]
    held, text = column.label("held"), "held"
    if isinstance(column.type, JSONB):
        held = column.op("->")(bindparam("at", type_=Integer())).label("held")
        text = "CASE jsonb_typeof(held) WHEN 'string' THEN held #>> '{}' END"
    row = one(resource, [held], shape, access=access)
    told = "access, " if access else ""
    sql = f"""SELECT {told}tag, place, piece
FROM (
  SELECT {told}value, encode(substr(sha256(value), 1, 16), 'hex') AS tag
  FROM (SELECT {told}convert_to({text}, 'UTF8') AS value FROM ({row.sql} OFFSET 0) AS found OFFSET 0) AS read OFFSET 0
) AS told LEFT JOIN LATERAL (
  SELECT place, substr(value, place, {PIECE}) AS piece FROM generate_series(1, length(value), {PIECE}) AS place
  WHERE tag <> ALL(${len(row.names) + 1}::text[])
) AS pieces ON true"""  # noqa: S608 - names of the model, and a number of ours
    return Statement(sql, (*row.names, "known"))


def found(rows: list[Any], known: tuple[str, ...]) -> Image:
    """The image in the rows of the statement."""
    if not rows or rows[0]["tag"] is None:
        raise NotFound
    if rows[0]["tag"] in known:
        return Image(None, rows[0]["tag"])
    return Image([row["piece"] or b"" for row in sorted(rows, key=itemgetter("place"))], rows[0]["tag"])
