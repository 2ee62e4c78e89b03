"""A backups folder as the predecessor left it: one backup, listed and selected, with the rows a test names."""

import json
from pathlib import Path
from typing import Any

NAME = "backup_2025-12-01T14-00-00"


def put_backup(folder: Path, name: str = NAME, *, selected: bool = True, **tables: list[dict[str, Any]]) -> None:
    """Writes a backup of these rows (Vehicle, Event, members) into the folder, in the shape of that time."""
    (folder / name).mkdir(parents=True)
    stamp = name[7:17] + name[17:].replace("-", ":") + ".000Z"
    data = {"timestamp": stamp, "tables": {key: {"count": len(rows), "data": rows} for key, rows in tables.items()}}
    (folder / name / "data.json").write_text(json.dumps(data))
    index = folder / "index.json"
    listed = json.loads(index.read_text()) if index.exists() else []
    index.write_text(json.dumps([*listed, {"name": name, "timestamp": stamp}]))
    if selected:
        (folder / "restore-info.json").write_text(json.dumps({"backupToRestore": name, "reason": "essai"}))


def as_member(key: str, **fields: Any) -> dict[str, Any]:
    """A member as that backup says it."""
    return {"id": key, "email": f"{key}@example.org", "firstName": "Alix", "lastName": "Exemple", **fields}
