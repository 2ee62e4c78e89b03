"""One service under one combination of the toggles, beside the world that says what it should answer."""

from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from signal import SIGTERM

import httpx

from faults.backup_folder import as_member, put_backup
from faults.toggles.model import OPERATIONS, Operation, Toggles, World
from faults.toggles.table import Held, Line, cell
from harness import LONGEST, TOKENS, Api, Person, Process, process, run_sql, until

WATCHED = Path(__file__).parent / "watched"
VICTIMS = {f"V{number}": "à supprimer" for number in range(12)}
TRUTH = {"920": "de la base"} | VICTIMS
BACKUP = {"920": "du backup", "B1": "supprimé depuis"} | VICTIMS
CHIEF = Person("chef", TOKENS.issue({"id": "chef", "role": "ADMIN", "token_epoch": 0})[0])


class Service:
    """One service under one combination, beside the world that says what it should answer."""

    def __init__(self, toggles: Toggles, url: str, folder: Path, *, production: bool) -> None:
        self.name = f"{toggles}{' (production)' if production else ''}"
        self.world = World(toggles, production, dict(TRUTH), BACKUP)
        self._url = url
        self._folder = folder
        self._running = ExitStack()
        self._api: Api
        self._process: Process
        rows = [{"parc": parc, "etat": state, "isPublic": True} for parc, state in BACKUP.items()]
        put_backup(folder / "backups", Vehicle=rows, Event=[], members=[as_member(CHIEF.id, role="ADMIN")])

    def start(self) -> None:
        """Starts the process."""
        toggles = self.world.toggles
        environment = {
            "LOAD_BACKUP_AT_BOOT": str(toggles.load),
            "ENABLE_MEMORY_FALLBACK": str(toggles.fallback),
            "ENABLE_RUNTIME_STATE_SAVE": str(toggles.save),
            "APP_ENV": "production" if self.world.production else "development",
            "RUNTIME_STATE_DEBOUNCE": "0.05",
            "PYTHONPATH": str(WATCHED),
            "WATCHED_LOG": str(self._folder / "watched.log"),
        }
        opened = process(self._url, self._folder, **environment)
        self._api, self._process = self._running.enter_context(opened)
        self.world.start()

    def restart(self) -> None:
        """Ends the process as systemd does, and starts it again."""
        self._process.popen.terminate()
        assert self._process.popen.wait(LONGEST) == -SIGTERM, self._process.log
        self.close()
        self.world.end()
        self.start()

    def kill_and_start(self) -> None:
        """Kills the process and starts it again."""
        self._process.popen.kill()
        self._process.popen.wait(LONGEST)
        self.close()
        self.world.end()
        self.start()

    def close(self) -> None:
        """Kills what runs."""
        self._running.close()

    def wait_for_postgres(self) -> None:
        """Until it speaks for Postgres."""
        public = partial(self._api.get, "/public/vehicles")
        until(lambda: public().headers.get("X-Data-Source") == "postgres", f"{self.name} to find Postgres")

    def wait_for_snapshot(self, word: str) -> None:
        """Until what was written last is in the snapshot, if there is one: a kill may lose no more than the latest."""
        state = self._folder / "backups" / "runtime-state.json"
        if self.world.toggles.save and self.world.origin != "empty":
            until(lambda: state.exists() and word in state.read_text(), f"the snapshot of {self.name}")

    def ask(self, phase: str, number: int, lost_at: datetime) -> Line:
        """Every operation once, one after the other, against what the world says."""
        line = Line(phase, self.name)
        for operation in OPERATIONS:
            parc = {"create": f"N{number}", "delete": f"V{number}"}.get(operation, "920")
            state = f"phase {number}"
            answer = self._send(operation, parc, state)
            line.cells[operation] = self.world.ask(operation, parc, state), cell(operation, answer, lost_at)
        return line

    def _send(self, operation: Operation, parc: str, state: str) -> httpx.Response:
        body = {"parc": parc, "etat": state, "isPublic": True}
        method, path = {
            "list": ("GET", "/api/vehicles"),
            "public list": ("GET", "/public/vehicles"),
            "get": ("GET", f"/api/vehicles/{parc}"),
            "create": ("POST", "/api/vehicles"),
            "update": ("PATCH", f"/api/vehicles/{parc}"),
            "delete": ("DELETE", f"/api/vehicles/{parc}"),
        }[operation]
        return self._api.request(
            method, path, headers=CHIEF.headers, json=body if method in {"POST", "PATCH"} else None
        )

    def settle(self) -> Line:
        """What Postgres and the disk hold when the story is over."""
        rows = {row[0]: row[1] for row in run_sql(self._url, "SELECT parc, etat FROM vehicle")}
        conflicts = run_sql(self._url, "SELECT count(*) FROM conflict WHERE resolution IS NULL")[0][0]
        cells: dict[str, tuple[object, object]] = {
            "rows": (Held(self.world.truth), Held(rows)),
            "conflicts": (self.world.conflicts, conflicts),
            "files": (self.world.files(), self._files()),
        }
        return Line("at the end", self.name, cells)

    def _files(self) -> str:
        found: dict[str, set[str]] = {}
        for text in (self._folder / "watched.log").read_text().splitlines():
            kind, how = text.split()
            found.setdefault(kind, set()).add(how)
        return ", ".join(f"{kind} {'+'.join(sorted(how))}" for kind, how in sorted(found.items())) or "nothing"
