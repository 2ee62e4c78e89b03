"""Old files that are put back before a boot: snapshots, journals, backups of the predecessor."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from checking.psql import Psql
from soaking.surroundings import rows_as_json

SNAPSHOT, JOURNAL = "runtime-state.json", "journal.jsonl"
KEPT = 12


class OldFiles:
    """Takes copies at random moments, and puts them back in the ways in which an operator might."""

    def __init__(self, backups: Path, attic: Path, random: Random) -> None:
        self._backups = backups
        self._attic = attic
        self._random = random
        self._copies: dict[str, list[Path]] = {SNAPSHOT: [], JOURNAL: []}
        self._number = 0
        attic.mkdir()

    def keep_copies(self) -> None:
        """Copies the snapshot and the journal, as a nightly copy would."""
        for name, copies in self._copies.items():
            if (self._backups / name).exists():
                self._number += 1
                copies.append(Path(shutil.copy(self._backups / name, self._attic / f"{self._number}-{name}")))
                del copies[:-KEPT]

    def journal_waits(self) -> bool:
        """Whether there is a journal on disk."""
        return (self._backups / JOURNAL).exists()

    def put_back(self, name: str) -> bool:
        """Replaces the present file by an old copy; False if there is no copy."""
        copies = self._copies[name]
        if not copies:
            return False
        self._backups.mkdir(exist_ok=True)
        shutil.copy(self._random.choice(copies), self._backups / name)
        return True

    def set_journal_aside(self) -> None:
        """Sets the journal aside, as an operator does with a journal that must not be replayed."""
        (self._backups / JOURNAL).rename(self._attic / f"aside-{datetime.now(UTC).timestamp()}")

    def tear_journal(self) -> None:
        """Adds half a line to the journal, as a power cut leaves it: that write was never acknowledged."""
        with (self._backups / JOURNAL).open("ab") as file:
            file.write(b'1234abcd {"sequence":99999,"at":"20')

    def damage_snapshot(self) -> None:
        """Cuts the snapshot in the middle."""
        path = self._backups / SNAPSHOT
        if path.exists():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    def export(self, psql: Psql) -> None:
        """Writes a backup of this moment in one of the predecessor's shapes."""
        now = datetime.now(UTC)
        name = f"backup_{now:%Y-%m-%dT%H-%M-%S}-{now.microsecond // 1000:03d}"
        timestamp = f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"
        folder = self._backups / name
        folder.mkdir(parents=True, exist_ok=True)
        tables = rows_as_json(psql)
        (folder / "data.json").write_text(json.dumps(self._shaped(tables, timestamp), ensure_ascii=False))
        manifest = {"name": name, "timestamp": timestamp, "type": "FULL_EXPORT", "description": "Export complet"}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        index = self._backups / "index.json"
        listed = json.loads(index.read_text()) if index.exists() else []
        index.write_text(json.dumps([*listed, manifest]))

    def _shaped(self, tables: dict[str, list[object]], timestamp: str) -> dict[str, object]:
        shape = self._random.choice(("T1", "T2", "T3"))
        if shape == "T3":
            return {"timestamp": timestamp, "version": 1, "tables": tables}
        counted: dict[str, object] = {name: {"count": len(rows), "data": rows} for name, rows in tables.items()}
        if shape == "T1":
            columned = {name: {"columns": sorted(rows[0]) if rows else [], "count": len(rows), "data": rows}  # type: ignore[call-overload]
                        for name, rows in tables.items()}  # fmt: skip
            return {"timestamp": timestamp, "tables": columned}
        return {"timestamp": timestamp, "description": "Export complet", "tables": counted}

    def select(self) -> None:
        """Selects the backup to load at boot, or removes the selection."""
        names = sorted(folder.name for folder in self._backups.glob("backup_*") if folder.is_dir())
        path = self._backups / "restore-info.json"
        if names and self._random.random() < 0.7:
            path.write_text(json.dumps({"backupToRestore": self._random.choice(names), "reason": "essai"}))
        else:
            path.unlink(missing_ok=True)
