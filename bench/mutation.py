"""Makes small mistakes in the pure core, one at a time, and counts those that no fast test notices: `make mutation`.

Each module of `TARGETS` meets its own tests, which need neither PostgreSQL nor a network. A mutant is killed if a test
fails, or argued if `mutating/argued.toml` says why the program does the same with it. The run ends with 1 if fewer than
90 % of the mutants are killed or argued, or if an argument names no surviving mutant.
"""

import argparse
import json
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests"), str(HERE.parent / "tests" / "support")]

from mutating.trials import ENDED, Trials

ENOUGH = 0.9


@dataclass(frozen=True)
class Target:
    """A module, and the files of tests that must notice its mutants.

    `functions`: only these are mutated. `without`: the tests whose names this pattern finds are left out, because they
    need PostgreSQL.
    """

    module: str
    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()
    without: str = ""


STORES = tuple(f"tests/store/test_conformance{part}.py" for part in ("", "_writes", "_callers"))
MEMORY = (*STORES, *(f"tests/fallback/test_{name}.py" for name in ("memory", "mirror", "entries")))
WITH_POSTGRES = r"[\[-](postgres|mirrored|fallback)[\]-]"
TARGETS = (
    Target("retrobus.backups.verdicts", ("tests/backups/test_verdicts.py",)),
    Target("retrobus.backups.facts", ("tests/backups/test_verdicts.py",)),
    Target(
        "retrobus.backups.formats",
        ("tests/backups/test_reading.py", "tests/backups/test_formats.py"),
        without="json_agg|array_of_rows|empty_table",
    ),
    Target("retrobus.backups.lines", ("tests/backups/test_reading.py",)),
    Target("retrobus.fallback.memory", MEMORY, without=WITH_POSTGRES),
    Target("retrobus.fallback.decisions", MEMORY, without=WITH_POSTGRES),
    Target("retrobus.fallback.mirror", ("tests/fallback/test_mirror.py",)),
    Target("retrobus.fallback.entries", ("tests/fallback/test_entries.py",)),
    Target("retrobus.fallback.journal", ("tests/fallback/test_journal.py",)),
    Target("retrobus.changes.cursor", ("tests/changes/test_cursor.py",)),
    Target("retrobus.changes.feed", ("tests/changes/test_cursor.py",), ("_known", "_aim", "_told", "item_of")),
    Target("retrobus.database.errors", ("tests/database/test_errors.py",)),
    Target("retrobus.store.refusals", ("tests/database/test_errors.py",)),
)


@dataclass
class Result:
    """What became of the mutants of one module."""

    module: str
    mutants: int
    killed: int
    ended: int
    """Of the killed mutants, those whose process died or did not end, so that no test could say what is wrong."""

    survivors: list[dict[str, Any]]
    failed: list[str]
    seconds: float


def tried(target: Target) -> Result:
    """Tries the mutants of one module, in this process."""
    started = time.monotonic()
    plugin = Trials(target.module, target.functions, target.without)
    pytest.main(["-q", "-p", "no:cacheprovider", *target.tests], plugins=[plugin])
    survivors = [{"line": trial.mutant.line, "key": trial.mutant.key} for trial in plugin.trials if trial.test is None]
    failed = plugin.failed or ([] if plugin.trials else ["no test could be run"])
    seconds = time.monotonic() - started
    ended = sum(trial.test == ENDED for trial in plugin.trials)
    killed = len(plugin.trials) - len(survivors)
    return Result(target.module, len(plugin.trials), killed, ended, survivors, failed, seconds)


def tried_apart(target: Target) -> Result:
    """The same in a process of its own."""
    command = [sys.executable, __file__, "--one", target.module]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        return Result(target.module, 0, 0, 0, [], [done.stderr[-2000:] or done.stdout[-2000:]], 0)
    return Result(**json.loads(done.stdout.splitlines()[-1]))


def arguments() -> dict[str, dict[tuple[str, ...], str]]:
    """By module and mutant, why no test can notice it."""
    found: dict[str, dict[tuple[str, ...], str]] = {}
    text = (HERE / "mutating" / "argued.toml").read_text(encoding="utf-8")
    for said in tomllib.loads(text).get("argued", []):
        key = (said["where"], said["source"], said["before"], said["after"])
        found.setdefault(said["module"], {})[key] = said["why"]
    return found


def report(results: list[Result]) -> Iterator[str]:
    """The table, and after it every mutant that survives without an argument."""
    argued = arguments()
    yield "| module | mutants | killed | of these died or hung | argued | score | seconds |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for result in results:
        yield row(f"`{result.module}`", result, argued_of(result, argued))
    figures = (sum(getattr(result, name) for result in results) for name in ("mutants", "killed", "ended"))
    total = Result("", *figures, [], [], sum(result.seconds for result in results))
    yield row("all", total, sum(argued_of(result, argued) for result in results))
    for result in results:
        for said in (*open_of(result, argued), *unused_of(result, argued), *result.failed):
            yield f"{result.module}: {said}"


def row(name: str, result: Result, argued: int) -> str:
    """One line of the table."""
    score = (result.killed + argued) / max(result.mutants, 1)
    figures = (result.mutants, result.killed, result.ended, argued, f"{score:.1%}", f"{result.seconds:.0f}")
    return f"| {name} | {' | '.join(map(str, figures))} |"


def argued_of(result: Result, argued: dict[str, dict[tuple[str, ...], str]]) -> int:
    """How many survivors have an argument."""
    return sum(tuple(one["key"]) in argued.get(result.module, {}) for one in result.survivors)


def open_of(result: Result, argued: dict[str, dict[tuple[str, ...], str]]) -> Iterator[str]:
    """The survivors without an argument."""
    for one in result.survivors:
        if tuple(one["key"]) not in argued.get(result.module, {}):
            where, source, before, after = one["key"]
            yield f"{one['line']}: {where}: {before} → {after}    [{source}]"


def unused_of(result: Result, argued: dict[str, dict[tuple[str, ...], str]]) -> Iterator[str]:
    """The arguments about mutants that are killed or gone."""
    survived = {tuple(one["key"]) for one in result.survivors}
    for key in argued.get(result.module, {}).keys() - survived:
        yield f"argued, yet killed or gone: {' | '.join(key)}"


def main() -> int:
    """Tries the modules that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", help="only modules whose name ends so")
    parser.add_argument("--jobs", type=int, default=2, help="modules at a time")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(asdict(tried(next(target for target in TARGETS if target.module == asked.one)))))
        return 0
    wanted = [one for one in TARGETS if not asked.modules or one.module.endswith(tuple(asked.modules))]
    with ThreadPoolExecutor(asked.jobs) as pool:
        results = list(pool.map(tried_apart, wanted))
    print("\n".join(report(results)))
    argued = arguments()
    done = sum(result.killed + argued_of(result, argued) for result in results)
    sound = not any(result.failed or list(unused_of(result, argued)) for result in results)
    return 0 if sound and done >= ENOUGH * sum(result.mutants for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
