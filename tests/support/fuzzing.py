"""Schemathesis against a running service: requests from the API reference, good and bad, and every check on each."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import Api, Person

# The member who sends the requests must still have access after them: a request may name this row by its id.
KEEP = """CREATE FUNCTION fuzz_keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF TG_OP = 'DELETE' THEN RAISE unique_violation; END IF;
NEW.token_epoch := OLD.token_epoch; NEW.status := OLD.status; NEW.role := OLD.role; RETURN NEW; END $$"""
KEPT = """CREATE TRIGGER a_fuzz_keep BEFORE UPDATE OR DELETE ON member FOR EACH ROW WHEN (OLD.id = '{}')
EXECUTE FUNCTION fuzz_keep()"""
ALWAYS = (
    "--checks", "all", "--exclude-checks",
    "positive_data_acceptance,not_a_server_error,negative_data_rejection", "--continue-on-failure", "--no-color",
    "--exclude-path", "/metrics", "--exclude-path-regex", "stream$",
    "--warnings", "off", "--output-truncate", "false",
    "--request-timeout", "60",
)  # fmt: skip
SLOW = """[[operations]]
include-operation-id = "createBackup"
checks.max_response_time = 60
"""
"""POST /api/backups writes and verifies a backup before it answers; ten seconds are the limit of any other."""


def sender(api: Api) -> Person:
    """An ADMIN whom no request can remove, demote or log out."""
    admin = api.person("ADMIN")
    api.sql(KEEP, KEPT.format(admin.id))
    return admin


def fuzz(api: Api, who: Person, *options: str, away: str = "") -> tuple[int, str]:
    """Runs the fuzzer: 0 if nothing was found, and what it said; `away` is the mode if PostgreSQL is away."""
    reference = f"{str(api.base_url).rstrip('/')}/openapi.json"
    command = [str(Path(sys.executable).absolute().parent / "schemathesis"), "run", reference]
    command += ["-H", f"Authorization: Bearer {who.token}", *ALWAYS, *options]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "fuzz_hooks", "FUZZ_AWAY": away}
    environment["PYTHONPATH"] = str(Path(__file__).absolute().parent)
    with tempfile.TemporaryDirectory() as folder:  # the fuzzer leaves a cache where it runs
        (Path(folder) / "schemathesis.toml").write_text(SLOW)
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr
