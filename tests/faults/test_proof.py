"""The run that proves the promises judges a sound service right, and a service with a known bug wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from patience import VARIABLE

pytestmark = pytest.mark.faults

BENCH = Path(__file__).resolve().parents[2] / "bench"


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs it with the limits that are in the code, not with those of the other tests."""
    kept = {name: value for name, value in os.environ.items() if name not in {VARIABLE, "DATABASE_TIMEOUT"}}
    command = [sys.executable, str(BENCH / program), *arguments]
    return subprocess.run(command, env=kept, capture_output=True, text=True, check=False)


def test_a_sound_service_keeps_its_promises_in_an_outage(tmp_path: Path) -> None:
    told = tmp_path / "proof.json"

    done = run("proof.py", "--fault", "refused", "--json", str(told), "--png", str(tmp_path / "proof.png"))

    assert done.returncode == 0, done.stdout + done.stderr
    runs = json.loads(told.read_text())["runs"]
    assert {(found["mode"], found["valid"]) for found in runs} == {("strict", True), ("fallback", True)}


def test_a_service_that_forgets_the_deletes_of_an_outage_is_caught() -> None:
    done = run("proof_negative.py", "--bug", "deletes")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 bugs were caught" in done.stdout
