"""Runs every block of docs/migration.md, in the order of the page: rehearsal, cut-over, way back."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

import forked
from harness import LONGEST, SECRET, at, free_port, run_sql
from predecessor import SCHEMA, fill
from retrobus.development.embedded import embedded_postgres
from retrobus.development.postgres_programs import find_programs

pytestmark = pytest.mark.faults

TEXT = (Path(__file__).parents[1] / "docs/migration.md").read_text(encoding="utf-8")
SHIM = """#!/bin/bash
[ "$1" = serve ] && exec {python} -c 'from retrobus.cli import main; main()' "$@"
exec {python} -ISc 'import sys; sys.path.insert(0, "{support}"); import forked; forked.stand_in()' "$@"
"""
"""`retrobus` for the shell: forked, for most of the time would be imports; but `kill` must reach a service itself."""

HBA = "local all postgres trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
OLD_SERVER = """#!/bin/bash
case $1 in
  start) setsid bash -c 'tail -f /dev/null | psql "$proprietaire"' > /dev/null 2>&1 & echo $! > old.pid ;;
  stop) kill -- "-$(cat old.pid)"
    until [ "$($admin psql -Atc "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ancien'")" = 0 ]; do :; done ;;
esac
"""
"""The old server, as PostgreSQL sees it: one connection that lasts until the server is stopped."""

SYSTEMCTL = """#!/bin/bash
case $1 in
  start) retrobus serve --port "${service##*:}" > service.log 2>&1 & echo $! > service.pid ;;
  stop) kill "$(cat service.pid)"; while kill -0 "$(cat service.pid)" 2> /dev/null; do :; done ;;
esac
"""
AT_THE_END = "trap 'set +e; { kill $(jobs -p); systemctl stop retrobus; kill -- -$(cat old.pid); } 2> /dev/null' EXIT"
LOGIN = """curl --silent --fail --header 'Content-Type: application/json' "$service/api/auth/member-login" \
  --data '{"identifier": "c.exemple", "password": "ancien-mot-de-passe-1"}'"""
CONTENT = """psql "$ancienne" -Atc "SELECT 'old:' || md5(string_agg(t, ' ')) FROM (
  SELECT v::text AS t FROM \\"Vehicle\\" v UNION ALL SELECT e::text FROM \\"Event\\" e
  UNION ALL SELECT m::text FROM members m ORDER BY t) AS every_row\""""
MENDED = """psql "{}" -c "UPDATE \\"Event\\" SET \\"adultPrice\\" = 3 WHERE id = 'prix-impossible'\""""
MEANWHILE = """psql "$nouvelle" -c "UPDATE vehicle SET etat = 'En panne' WHERE parc = '920'" \
  -c "INSERT INTO event (id, title, date) VALUES ('nouveau', 'Nouveau', '2026-12-05')\""""
BESIDES = {
    "Préparer": [
        "$admin psql -d ancienne -c \"ALTER ROLE lecture PASSWORD 'phrase-lecture'\"",
        "retrobus db upgrade",
        "$demarrer",
        "until $admin psql -Atc \"SELECT 'la' FROM pg_stat_activity WHERE usename = 'ancien'\" | grep la; do :; done",
        'retrobus restore "$ancienne"',
    ],
    "Lire le plan": [MENDED.format("$copie"), MENDED.format("$proprietaire")],
    "Basculer": [CONTENT],
    "Ouvrir le nouveau service": [LOGIN],
    "Vérifier après la bascule": [MEANWHILE],
    "Ce qui n’est pas à nous": [CONTENT],
}
"""What people and programs do beside the page's blocks, after the blocks of these sections."""


@dataclass(frozen=True)
class Machine:
    """A folder with the programs of the page, and the lines that the page asks the reader to adapt."""

    folder: Path
    adapted: str
    environment: dict[str, str]


def script(adapted: str) -> Iterator[str]:
    """The page as one script: a mark for each section, its blocks, and what happens beside them."""
    first = True
    for part in re.split(r"^(?=##+ )", TEXT, flags=re.MULTILINE)[1:]:
        heading = part.partition("\n")[0].strip("# ")
        yield f"echo '=== {heading}'"
        for block in re.findall(r"^```sh\n(.*?)^```$", part, re.DOTALL | re.MULTILINE):
            yield adapted if first else block
            first = False
        yield from BESIDES.get(heading, [])


@pytest.fixture
def machine(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """One PostgreSQL with passwords that has the old database and the new one, still empty."""
    with embedded_postgres(tmp_path_factory.mktemp("postgres"), port=free_port()) as postgres:
        [hba] = run_sql(
            postgres.url(),
            "CREATE ROLE ancien LOGIN CREATEROLE PASSWORD 'phrase-ancien'",
            "CREATE ROLE retrobus_owner LOGIN PASSWORD 'phrase-owner'",
            "CREATE DATABASE ancienne OWNER ancien",
            "CREATE DATABASE retrobus OWNER retrobus_owner",
            "SHOW hba_file",
        )
        fill(at(postgres.url(), "ancienne"), f"SET ROLE ancien; {SCHEMA}")
        yield prepared(tmp_path, postgres.url(), str(hba["hba_file"]), f"127.0.0.1:{postgres.port}")


def prepared(folder: Path, url: str, hba: str, place: str) -> Machine:
    Path(hba).write_text(HBA, encoding="utf-8")
    run_sql(url, "SELECT pg_reload_conf()")
    programs = {
        "retrobus": SHIM.format(python=sys.executable, support=Path(forked.__file__).parent),
        "ancien-serveur": OLD_SERVER,
        "systemctl": SYSTEMCTL,
    }
    (folder / "bin").mkdir()
    for name, content in programs.items():
        (folder / "bin" / name).write_text(content, encoding="utf-8")
        (folder / "bin" / name).chmod(0o755)
    roles = {"lecture": "phrase-lecture", "ancien": "phrase-ancien", "retrobus_owner": "phrase-owner"}
    passes = folder / ".pgpass"
    passes.write_text("".join(f"127.0.0.1:*:*:{role}:{word}\n" for role, word in roles.items()))
    passes.chmod(0o600)
    new = f"postgresql://retrobus_owner@{place}/retrobus"
    (folder / "retrobus.env").write_text(f"DATABASE_URL={new}\nJWT_SECRET={SECRET}\nBACKUPS_DIR={folder}/backups\n")
    adapted = f"""export ancienne=postgresql://lecture@{place}/ancienne
export proprietaire=postgresql://ancien@{place}/ancienne
arreter='ancien-serveur stop'
demarrer='ancien-serveur start'
export admin='env PGHOST={parse_qs(urlsplit(url).query)["host"][0]} PGPORT={place.partition(":")[2]} PGUSER=postgres'
copie=postgresql://retrobus_owner@{place}/repetition_ancienne
essai=postgresql://retrobus_owner@{place}/repetition
port={free_port()}
courriel=camille@example.org
export service=http://127.0.0.1:{free_port()}
export RETROBUS_ENV_FILE={folder}/retrobus.env
nouvelle={new}"""
    path = f"{folder}/bin:{find_programs().folder}:{os.environ['PATH']}"
    return Machine(folder, adapted, {"PATH": path, "HOME": str(folder), forked.ADDRESS: forked.address()})


def test_the_test_adapts_every_line_that_the_page_says_to_adapt() -> None:
    block = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)[0]

    assert set(BESIDES) <= set(re.findall(r"^##+ (.+)$", TEXT, re.MULTILINE))
    assert re.findall(r"^(?:export )?(\w+)=", block, re.MULTILINE) == [
        "ancienne", "proprietaire", "arreter", "demarrer", "admin", "copie", "essai", "port", "courriel", "service",
        "RETROBUS_ENV_FILE",
    ]  # fmt: skip


def test_the_whole_page_works_from_the_rehearsal_to_the_way_back(machine: Machine) -> None:
    path = machine.folder / "page.sh"
    path.write_text("\n".join(["set -e", AT_THE_END, *script(machine.adapted)]), encoding="utf-8")

    done = subprocess.run(
        ["bash", "-v", str(path)],
        cwd=machine.folder,
        env=machine.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=10 * LONGEST,
        check=False,
    )

    (machine.folder / "transcript.txt").write_text(done.stdout, encoding="utf-8")
    assert done.returncode == 0, done.stdout[-4000:]
    parts = dict(re.findall(r"^=== ([^\n]+)\n(.*?)(?=^=== |\Z)", done.stdout, re.DOTALL | re.MULTILINE))
    assert "1 autre connexion à l'ancienne base" in parts["Préparer"]
    assert "événement prix-impossible rejeté : adultPrice : au moins 0" in parts["Lire le plan"]
    for section in ("Exécuter le plan", "Ouvrir le nouveau service"):
        plan = parts[section].split("📦 ")[-1]
        assert re.findall(r"^(\w+) +(\d+ .+)$", plan, re.MULTILINE) == [
            ("véhicules", "3 identiques"),
            ("événements", "3 identiques"),
            ("membres", "3 identiques"),
        ]
    assert "autre connexion" not in parts["Reprendre les données"]
    assert "9 lignes changées" in parts["Reprendre les données"]
    assert '"token"' in parts["Ouvrir le nouveau service"]
    assert "En panne" in parts["Revenir en arrière"]
    assert "événement nouveau en trop" in parts["Revenir en arrière"]
    assert parts["Sans accès à l’ancienne base"].count("📦 ") == 2
    hashes = re.findall(r"^old:(\w+)$", done.stdout, re.MULTILINE)
    assert (len(hashes), len(set(hashes))) == (2, 1)
