"""Notes which of our files this Python process opens, and how; a test loads it through PYTHONPATH."""

import os
import sys

_KINDS = {
    "backup": ("backup_", "data.json", "manifest.json", "index.json", "restore-info.json"),
    "snapshot": ("runtime-state.json",),
    "journal": ("journal.jsonl",),
    "lock": ("service.lock",),
}
_FOLDER = os.environ.get("BACKUPS_DIR", "backups")
_log = os.open(os.environ["WATCHED_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event != "open" or not isinstance(arguments[0], str | bytes | os.PathLike):
        return
    path = os.fsdecode(arguments[0])
    name = path.rpartition("/")[2].lstrip(".")
    flags = arguments[2] if isinstance(arguments[2], int) else 0
    writes = bool(flags & (os.O_WRONLY | os.O_RDWR))
    place = f"{_FOLDER}/{path}" if path in _KINDS["journal"] else path  # opened inside the folder of backups
    if "/" in place and not writes and not os.access(place, os.F_OK):
        return  # it was looked for, and there is none
    for kind, names in _KINDS.items():
        if name.startswith(names):
            os.write(_log, f"{kind} {'written' if writes else 'read'}\n".encode())


sys.addaudithook(_note)
