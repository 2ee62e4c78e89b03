"""Generates clients for Python and TypeScript from the API reference: `make clients`.

Each client must compile, and must change one field of a row without touching the others. This needs the network (for
packages of Python and npm) and Node.js; everything is made in a temporary folder.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from builders import a_member, a_vehicle, an_event
from harness import Api, Person, at, run_sql, served, settings_for
from retrobus.database import migrate
from retrobus.development.embedded import embedded_postgres

PROGRAMS = Path(__file__).parent / "clients"
PYTHON_TOOLS = ("openapi-python-client>=0.29,<0.30",)
NODE_TOOLS = ("openapi-typescript@7", "openapi-fetch@0.17", "typescript@5", "@types/node@22")
PROJECT = {"name": "client", "private": True, "type": "module"}
COMPILER = {
    "compilerOptions": {
        "strict": True, "noUncheckedIndexedAccess": True, "target": "ES2022", "module": "NodeNext",
        "moduleResolution": "NodeNext", "skipLibCheck": False, "outDir": "out", "types": ["node"],
    },
    "include": ["*.ts"],
}  # fmt: skip
ROWS = {
    "vehicles": ("parc", "subtitle", a_vehicle(parc="920", subtitle="Avant", isPublic=True, gallery=["/a.jpg"])),
    "events": ("id", "location", an_event(id="sortie", location="Avant", status="PUBLISHED", extras={"a": 1})),
    "members": ("id", "city", a_member(city="Avant", membershipStatus="ACTIVE", newsletter=False, notes="Un mot")),
}
MOVING = {"version", "updatedAt", "updatedBy"}


def run(*command: str | Path, cwd: Path) -> None:
    """Runs a step that must succeed; prints its output if it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")


def python_client(folder: Path) -> list[str]:
    """Generates and compiles the Python client; returns the command that runs its program."""
    run(sys.executable, "-m", "venv", "venv", cwd=folder)
    tools = folder / "venv" / "bin"
    run(tools / "pip", "install", "-q", *PYTHON_TOOLS, cwd=folder)
    generate = ("generate", "--path", "openapi.json", "--output-path", "retrobus_client", "--meta", "none")
    run(tools / "openapi-python-client", *generate, cwd=folder)
    run(tools / "python", "-W", "error", "-m", "compileall", "-q", "retrobus_client", cwd=folder)
    (folder / "program.py").write_text((PROGRAMS / "change_one_field.py").read_text())
    return [str(tools / "python"), "program.py"]


def typescript_client(folder: Path) -> list[str]:
    """Generates the TypeScript client and compiles it with strict checks; returns the command that runs its program."""
    (folder / "package.json").write_text(json.dumps(PROJECT))
    (folder / "tsconfig.json").write_text(json.dumps(COMPILER))
    run("npm", "install", "--silent", "--no-audit", "--no-fund", *NODE_TOOLS, cwd=folder)
    run("npx", "openapi-typescript", "openapi.json", "-o", "schema.ts", cwd=folder)
    text = (PROGRAMS / "change_one_field.ts").read_text().replace('"./schema"', '"./schema.js"')
    (folder / "program.ts").write_text(text)
    run("npx", "tsc", cwd=folder)
    return ["node", "out/program.js"]


def changed(api: Api, admin: Person, command: list[str], folder: Path) -> dict[str, list[str]]:
    """The fields of each row that a client's program changed; it was asked to change one."""
    before = {
        kind: api.post(f"/api/{kind}", json=body, headers=admin.headers).raise_for_status().json()
        for kind, (_, _, body) in ROWS.items()
    }
    keys = [before[kind][key] for kind, (key, _, _) in ROWS.items()]
    run(*command, str(api.base_url).rstrip("/"), admin.token, *keys, cwd=folder)
    found = {}
    for kind, (key, _, _) in ROWS.items():
        path = f"/api/{kind}/{before[kind][key]}"
        after = api.get(path, headers=admin.headers).json()
        api.delete(path, headers=admin.headers).raise_for_status()
        found[kind] = [name for name in after if after[name] != before[kind].get(name) and name not in MOVING]
    return found


def main() -> int:
    """Generates and tries both clients; 1 if one of them changed another field."""
    wanted = {kind: [field] for kind, (_, field, _) in ROWS.items()}
    with tempfile.TemporaryDirectory() as name, embedded_postgres(Path(name) / "postgres") as postgres:
        run_sql(postgres.url(), "CREATE DATABASE clients")
        url = at(postgres.url(), "clients")
        migrate.upgrade(url)
        with served(settings_for(url), url) as api:
            admin, failed = api.person("ADMIN"), 0
            for language, make in (("Python", python_client), ("TypeScript", typescript_client)):
                folder = Path(name) / language
                folder.mkdir()
                (folder / "openapi.json").write_text(api.get("/openapi.json").text)
                found = changed(api, admin, make(folder), folder)
                print(f"{language}: compiles; changed {found}, wanted {wanted}")
                failed |= found != wanted
    return failed


if __name__ == "__main__":
    sys.exit(main())
