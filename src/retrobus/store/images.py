"""The SQL that reads one image of a row: the image itself only for a reader who does not have it."""

from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, bindparam
from sqlalchemy.dialects.postgresql import JSONB

from retrobus.model.resources import Resource
from retrobus.store.contract import Image
from retrobus.store.errors import NotFound
from retrobus.store.statements import Shape, Statement, one


@lru_cache(maxsize=16)
def image(resource: Resource, name: str, shape: Shape, *, access: bool) -> Statement:
    """One image with its tag; takes the `known` tags, and `at` of a list.

    The image is read and summed once: OFFSET 0 keeps PostgreSQL from putting the inner expressions into the outer ones.
    """
    column = resource.table.c[name]
    held, text = column.label("held"), "held"
    if isinstance(column.type, JSONB):
        held = column.op("->")(bindparam("at", type_=Integer())).label("held")
        text = "CASE jsonb_typeof(held) WHEN 'string' THEN held #>> '{}' END"
    row = one(resource, [held], shape, access=access)
    told = "access, " if access else ""
    sql = f"""SELECT {told}tag, CASE WHEN tag = ANY(${len(row.names) + 1}::text[]) THEN NULL ELSE value END AS value
FROM (
  SELECT {told}value, encode(substr(sha256(value), 1, 16), 'hex') AS tag
  FROM (SELECT {told}convert_to({text}, 'UTF8') AS value FROM ({row.sql} OFFSET 0) AS found OFFSET 0) AS read OFFSET 0
) AS told"""  # noqa: S608 - names of the model
    return Statement(sql, (*row.names, "known"))


def found(rows: list[Any]) -> Image:
    """The image in the statement's only row."""
    if not rows or rows[0]["tag"] is None:
        raise NotFound
    return Image(rows[0]["value"], rows[0]["tag"])
