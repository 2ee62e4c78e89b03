"""The limit: the same SQL as the service's, sent by pgbench over the same number of connections."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from retrobus.development.postgres_programs import find_programs
from retrobus.model.resources import EVENT, VEHICLE
from retrobus.store import statements
from retrobus.store.contract import Caller, Delete, Filter, Insert, Terms
from retrobus.store.single_statement import single
from retrobus.store.statements import Statement, shape_of
from timing.collection import LIST, NEW, ONE, PUBLIC, WRITE, Workload
from timing.load import CONNECTIONS

NAME = "limit: the same SQL by pgbench"
TERMS = Terms(Caller("bench", 0, "ADMIN"))
CREATED = {
    "id": "", "title": NEW["title"], "date": datetime(2026, 1, 1, tzinfo=UTC), "time": NEW["time"],
    "location": NEW["location"], "description": NEW["description"], "hello_asso_url": NEW["helloAssoUrl"],
    "layout": NEW["layout"], "adult_price": NEW["adultPrice"], "child_price": NEW["childPrice"],
    "vehicle_id": NEW["vehicleId"], "status": NEW["status"], "extras": '{"isVisible": true}', "max_participants": 50,
}  # fmt: skip
FIXED = CREATED | {"caller_id": "bench", "caller_epoch": 0, "row_key": "P0042", "page": 1001, "filter_0": "true"}


def pgbench() -> str | None:
    """The program: beside the embedded PostgreSQL, on the PATH, or in Debian's folder."""
    beside = find_programs().folder / "pgbench"
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"))
    return str(beside) if beside.is_file() else shutil.which("pgbench") or (str(debian[-1]) if debian else None)


def script(workload: Workload) -> str | None:
    """The statements of a workload in pgbench's language; None where they are those of another workload."""
    public = shape_of((Filter("is_public", "=", True),))
    if workload is ONE:
        return _sql(statements.get(VEHICLE, "one", (), access=True))
    if workload is LIST:
        return _sql(statements.find(EVENT, "list", (), after=False, access=True))
    if workload is PUBLIC:
        return _sql(statements.find(VEHICLE, "public_list", public, after=False, access=False))
    if workload is not WRITE:
        return None
    create, _ = single(Insert(EVENT, CREATED, TERMS), whole=False)
    delete, _ = single(Delete(EVENT, "", TERMS), whole=False)
    drawn = "\\set id random(1, 1000000000000)\n\\set nonce random(1, 1000000000000)\n"
    return drawn + _sql(create) + _sql(delete, {"row_key": "id"})


def _sql(statement: Statement, names: Mapping[str, str] | None = None) -> str:
    """A statement whose `$1` is the name of the value, as pgbench wants it."""
    renamed = names or {}
    return re.sub(r"\$(\d+)", lambda found: _place(statement, int(found[1]), renamed), statement.sql) + ";\n"


def _place(statement: Statement, number: int, renamed: Mapping[str, str]) -> str:
    name = statement.names[number - 1]
    return f":{renamed.get(name, name)}"


def limit(program: str, url: str, text: str, seconds: float, folder: Path) -> float:
    """Statements per second of a script."""
    file = folder / "limit.sql"
    file.write_text(text)
    values = [f"--define={name}={value}" for name, value in FIXED.items() if name != "id"]
    size = [f"--client={CONNECTIONS}", "--jobs=1", f"--time={max(1, round(seconds))}"]
    command = [program, "--no-vacuum", "--protocol=prepared", *size, *values, f"--file={file}", url]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if done.returncode or found is None:
        raise RuntimeError(f"pgbench: {done.stderr}")
    return float(found[1]) * text.count(";\n")
