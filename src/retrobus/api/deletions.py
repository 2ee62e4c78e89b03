"""The tombstones: what was deleted, when, by whom and why, and the command that brings a row back from a backup."""

from typing import Any

from fastapi import Response

from retrobus.api.answers import Answer, answered, listing
from retrobus.api.calls import Call, Routes
from retrobus.api.declaration import Route
from retrobus.api.queries import filters_of, limit_of, number_of, one_of, since, text, values_of
from retrobus.api.rights import MANAGERS_ONLY
from retrobus.backups import BadBackup
from retrobus.backups.catalog import INDEX, CatalogEntry
from retrobus.backups.holders import Holders, restore_command
from retrobus.http.problems import origin_headers
from retrobus.model.patterns import NUMBER_KEY
from retrobus.model.resources import BY_NAME
from retrobus.model.tables import CAUSES
from retrobus.store.contract import POSTGRES, Page

router = Routes("deletions", "/api/deletions", version=NUMBER_KEY)
FILTERS = (one_of("resource", tuple(BY_NAME)), text("key"), one_of("cause", CAUSES), since("deleted_at"))


@router.declare(Route("GET", "", MANAGERS_ONLY, listing("DeletionList", "deletions"), filters=FILTERS))
async def list_deletions(call: Call) -> Page:
    """Every delete, the latest first, also those that psql, a clean-up or a restore made.

    PostgreSQL alone answers: 503 while it is away, with the fallback too.
    """
    values = values_of(call.request, FILTERS)
    wanted = filters_of(values, FILTERS)
    return await call.service.desk.deletions.page(wanted, number_of(values, "version"), limit_of(values), call.who)


@router.declare(Route("GET", "/{version}", MANAGERS_ONLY, Answer("Deletion")))
async def get_deletion(call: Call) -> Response:
    """One delete, and the backups that still hold the row, each with the command that brings it back.

    The service reads the backups for this answer, the newest first. `restore` is null while a row has this key again.
    An erased member has no backups here: nothing brings the row back.
    """
    found = await call.service.desk.deletions.one(call.number, call.who)
    held = Holders() if found["erased"] else await _held(call, found)
    backups = [_backup(entry, found) for entry in held.backups]
    unread = [{"name": name, "reason": reason} for name, reason in held.unread.items()]
    return answered(found | {"backups": backups, "unread": unread}, origin_headers(POSTGRES))


async def _held(call: Call, found: dict[str, Any]) -> Holders:
    try:
        return await call.service.desk.shelf.holding(BY_NAME[found["resource"]], found["key"])
    except BadBackup as error:
        return Holders(unread={INDEX: str(error)})


def _backup(entry: CatalogEntry, found: dict[str, Any]) -> dict[str, Any]:
    command = restore_command(entry.name, BY_NAME[found["resource"]], found["key"])
    about = {"name": entry.name, "timestamp": entry.timestamp, "kind": entry.kind}
    return about | {"restore": None if found["present"] else command}
