"""Facts about damaged backups: whatever is wrong with the files, no row comes in, one sentence says why."""

import asyncio
import json
import os
import random
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from harness import copy_database, run_sql
from retrobus.backups import BadBackup, create
from retrobus.backups.catalog import choose
from retrobus.backups.formats import read_backup
from retrobus.backups.survey import survey

pytestmark = pytest.mark.faults
MUTATIONS = 1000
LEGACY = Path(__file__).parents[1] / "data" / "legacy-backups"
Mutation = Callable[[random.Random, Path], None]


@pytest.fixture(scope="module")
def sound(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with some rows of everything."""
    folder, name = tmp_path_factory.mktemp("sound"), f"mutations_{os.getpid()}"
    copy_database(server, name, template)

    async def make() -> str:
        connection = await asyncpg.connect(server, database=name)
        await connection.execute("""
        INSERT INTO vehicle (parc, modele) SELECT n, 'Citaro ♿ ' || n FROM generate_series(1, 20) AS n;
        INSERT INTO event (id, title, date, vehicle_id) SELECT 'e' || n, 'Fête', '2025-09-20', n::text
        FROM generate_series(1, 20) AS n;
        INSERT INTO member (id, email) SELECT 'm' || n, n || '@example.org' FROM generate_series(1, 20) AS n;
        DELETE FROM vehicle WHERE parc = '20'""")
        made = await create.create(connection, folder)
        await connection.close()
        return made.name

    path = folder / asyncio.run(make())
    run_sql(server, f"DROP DATABASE {name} WITH (FORCE)")
    return path


def some_file(chance: random.Random, backup: Path) -> Path:
    return backup / chance.choice(["data.json", "data.json", "manifest.json"])


def flip_bits(chance: random.Random, backup: Path) -> None:
    path = some_file(chance, backup)
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 2, 50])):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def truncate(chance: random.Random, backup: Path) -> None:
    path = some_file(chance, backup)
    os.truncate(path, chance.randrange(path.stat().st_size))


def put_nul(chance: random.Random, backup: Path) -> None:
    path = some_file(chance, backup)
    content = path.read_bytes()
    at = chance.randrange(len(content))
    path.write_bytes(content[:at] + b"\x00" * chance.choice([1, 4096]) + content[at:])


def append(chance: random.Random, backup: Path) -> None:
    with some_file(chance, backup).open("ab") as file:
        file.write(chance.choice([b"x", b"{}", b"\x00", b'{"Vehicle": []}']))


def swap_files(chance: random.Random, backup: Path) -> None:
    other = LEGACY / chance.choice(["t3.json", "index.json", "runtime-state.json"])
    shutil.copy(other, some_file(chance, backup))


def swap_both(_: random.Random, backup: Path) -> None:
    data, manifest = backup / "data.json", backup / "manifest.json"
    data.rename(backup / "other")
    manifest.rename(data)
    (backup / "other").rename(manifest)


def remove(chance: random.Random, backup: Path) -> None:
    some_file(chance, backup).unlink()


def link(chance: random.Random, backup: Path) -> None:
    path = some_file(chance, backup)
    path.rename(backup / "real")
    path.symlink_to(chance.choice(["real", "/etc/passwd", "/dev/zero", "nowhere"]))


def special_file(chance: random.Random, backup: Path) -> None:
    path = some_file(chance, backup)
    path.unlink()
    chance.choice([os.mkfifo, os.mkdir])(path)


def huge_counts(chance: random.Random, backup: Path) -> None:
    path = some_file(chance, backup)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(": 20", f": {10 ** chance.choice([3, 18, 400])}", 1), encoding="utf-8")


def deep_nesting(chance: random.Random, backup: Path) -> None:
    depth = chance.choice([100, 5000, 500_000])
    some_file(chance, backup).write_bytes(b'{"tables": {"Vehicle": {"data": [' + b"[" * depth + b"]" * depth)


def many_values(chance: random.Random, backup: Path) -> None:
    some_file(chance, backup).write_bytes(b'{"Vehicle": [{"x": [' + chance.choice([b"{},", b"[],", b"1,"]) * 4_000_000)


def drop_line(chance: random.Random, backup: Path) -> None:
    path = some_file(chance, backup)
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[chance.randrange(len(lines))]
    path.write_bytes(b"".join(lines))


COMMON: list[Mutation] = [
    flip_bits, truncate, put_nul, append, swap_files, swap_both, remove, link, special_file, huge_counts,
    deep_nesting, drop_line,
]  # fmt: skip


def unharmed(backup: Path, sound: Path) -> bool:
    """A mutation may change nothing: one bit twice, a manifest that says the same without its last newline."""
    files = [path for path in backup.iterdir() if path.is_file() and not path.is_symlink()]
    contents = {path.name: path.read_bytes() for path in files}
    wanted = {path.name: path.read_bytes() for path in sound.iterdir()}
    return contents.get("data.json") == wanted["data.json"] and manifest_says(contents) == manifest_says(wanted)


def manifest_says(contents: dict[str, bytes]) -> object:
    try:
        return json.loads(contents["manifest.json"])
    except (KeyError, ValueError):
        return None


def test_no_row_comes_from_a_damaged_backup(sound: Path, tmp_path: Path) -> None:
    wrong, refused = [], 0
    for seed in range(MUTATIONS):
        chance = random.Random(seed)
        backup = tmp_path / sound.name
        shutil.copytree(sound, backup)
        mutate = many_values if seed % 250 == 0 else chance.choice(COMMON)
        mutate(chance, backup)
        try:
            read_backup(backup)
            if not unharmed(backup, sound):
                wrong.append(f"{seed} {mutate.__name__}: rows came in")
        except BadBackup as error:
            refused += 1
            if not str(error).endswith(".") or len(str(error)) > 300:
                wrong.append(f"{seed} {mutate.__name__}: {error}")
        shutil.rmtree(backup)

    assert wrong == []
    assert refused > MUTATIONS * 0.95


def test_old_backups_without_a_sum_end_in_rows_or_a_sentence_in_bounded_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes, sentences = set(), set()
    for seed in range(MUTATIONS):
        chance = random.Random(seed)
        backup = tmp_path / "backup_2025-12-01T14-00-00"
        shutil.copytree(LEGACY / backup.name, backup)
        mutate = many_values if seed % 250 == 0 else chance.choice(COMMON)
        mutate(chance, backup)
        try:
            survey(backup)
            outcomes.add("read")
        except BadBackup as error:
            outcomes.add("refused")
            sentences.add(str(error))
        shutil.rmtree(backup)

    assert outcomes == {"read", "refused"}
    assert [text for text in sentences if not text.endswith(".")] == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


@pytest.mark.parametrize("name", ["../secret", "..", "/etc/passwd", "backup_x/../../secret", "backup_\x00", ""])
def test_no_name_of_a_backup_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "restore-info.json").write_text(json.dumps({"backupToRestore": name}))

    with pytest.raises(BadBackup, match="nom de backup"):
        choose(tmp_path)
