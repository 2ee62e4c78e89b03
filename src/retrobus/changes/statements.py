"""The SQL of one page of changes: the rows and tombstones after a version, the lowest version first."""

from functools import lru_cache

from retrobus.changes.cursor import Scope
from retrobus.model.resources import BY_NAME, MEMBER, Resource
from retrobus.model.wire import view_sql

BOUND = "ORDER BY version LIMIT $2"
"""Each part enters the index of its table by the version and reads no more than a page."""


@lru_cache(maxsize=64)
def page(names: tuple[str, ...], *, public: bool, own: bool, first: bool) -> str:
    """Takes the version, the number of rows, and the caller's id if `own`; gives resource, key, version, json.

    `json` is null for a row that is gone, or that the public no longer sees. `first` leaves these out.
    """
    parts = [_rows(BY_NAME[name], public=public, own=own, first=first) for name in names]
    if not first:
        parts.append(_tombstones(names, public=public, own=own))
    joined = " UNION ALL ".join(f"({part} {BOUND})" for part in parts)
    return f"SELECT * FROM ({joined}) AS found {BOUND}"  # noqa: S608 - names of the model


@lru_cache(maxsize=8)
def newest(names: tuple[str, ...]) -> str:
    """The last changes of these resources, the latest first; takes the same values as a page for managers."""
    last = "ORDER BY version DESC LIMIT $2"
    parts = [_rows(BY_NAME[name], public=False, own=False, first=False) for name in names]
    joined = " UNION ALL ".join(f"({part} {last})" for part in (*parts, _tombstones(names, public=False, own=False)))
    return f"SELECT * FROM ({joined}) AS found {last}"  # noqa: S608 - names of the model


def of(scope: Scope, *, first: bool) -> str:
    """The statement for this scope."""
    return page(scope.names, public=scope.public, own=scope.own is not None, first=first)


def _rows(resource: Resource, *, public: bool, own: bool, first: bool) -> str:
    table, version, seen = resource.table.name, "version", "true"
    json = f"textsend({view_sql(resource, 'public_list' if public else 'list')})"
    if public:
        version, seen = "public_version", str(resource.published).format(table)
        json = f"CASE WHEN {seen} THEN {json} END"
    # IS TRUE: without statistics PostgreSQL would enter the index by status, and sort every published event.
    conditions = [f"{version} > $1", *([f"({seen}) IS TRUE"] if public and first else [])]
    conditions += [f"{resource.key} = $3"] if own and resource is MEMBER else []
    columns = f"'{resource.name}'::text AS resource, {resource.key}::text AS key, {version} AS version, {json} AS json"
    return f"SELECT {columns} FROM {table} WHERE {' AND '.join(conditions)}"  # noqa: S608 - names of the model


def _tombstones(names: tuple[str, ...], *, public: bool, own: bool) -> str:
    listed = ", ".join(f"'{name}'" for name in names)
    conditions = ["version > $1", f"resource IN ({listed})", *(["shown"] if public else [])]
    conditions += [f"(resource <> '{MEMBER.name}' OR key = $3)"] if own else []
    columns = "resource::text, key::text, version, NULL::bytea AS json"
    return f"SELECT {columns} FROM deletion WHERE {' AND '.join(conditions)}"  # noqa: S608 - names of the model
