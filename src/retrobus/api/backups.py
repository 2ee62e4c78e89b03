"""Backups: the list of the folder, and one made now. A restore stays a command, which an operator types."""

from fastapi import Response

from retrobus.api.answers import Answer, answered
from retrobus.api.bodies import IGNORED
from retrobus.api.calls import Call, Routes
from retrobus.api.declaration import Route
from retrobus.api.proof import proved
from retrobus.api.rights import ADMINS_ONLY
from retrobus.backups import BadBackup
from retrobus.backups.program import Failed
from retrobus.backups.shelf import BackupInProgress
from retrobus.http.problems import Problem, origin_headers
from retrobus.store.contract import POSTGRES

router = Routes("backups", "/api/backups")
MADE = Answer("Backup", made=True)


@router.declare(Route("GET", "", ADMINS_ONLY, Answer("BackupList")))
async def list_backups(call: Call) -> Response:
    """Every backup, the newest first: kind, time, rows, size, and when it was last read back whole.

    The list comes from files, so it is answered while PostgreSQL is away too; the headers say who proved the caller.
    `restore` is the command that shows what a restore would change; it changes nothing before `--apply`.
    """
    headers = await proved(call)
    try:
        found = await call.service.desk.shelf.listed()
    except BadBackup as error:
        raise _failed("backups_unreadable", error) from None
    return answered({"backups": found}, headers)


@router.declare(Route("POST", "", ADMINS_ONLY, MADE, body=IGNORED, keyed=False, errors=(409,)))
async def create_backup(call: Call) -> Response:
    """Makes a backup now and verifies it, beside the requests; answers once that is done. Any body is ignored.

    409 while another backup or a restore is under way, of another service with this database too. If no backup was
    made, the answer says why: a file that cannot be written is `backup_failed`, PostgreSQL away is not. `trouble` says
    what went wrong after the backup was made, for example that its verification fails.
    """
    try:
        found = await call.service.desk.shelf.make(call.who)
    except BackupInProgress as error:
        raise Problem("backup_in_progress", str(error)) from None
    except (Failed, BadBackup) as error:
        raise _failed("backup_failed", error) from None
    return answered(found, origin_headers(POSTGRES), 201)


def _failed(code: str, error: Exception) -> Problem:
    return Problem(code, str(error), headers={"Retry-After": "60"}, outcome="not_applied")
