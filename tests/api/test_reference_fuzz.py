"""The API reference states every rule that the service holds: a fuzzer that knows only the reference finds none other.

`make fuzz` does the same for minutes, with every phase, and while PostgreSQL is away.
"""

import re

import pytest

from fuzzing import fuzz, sender
from harness import Api

# Enough to find each of the rules that were once missing here; the seed makes the run the same every time.
SHORT = ("--max-examples", "4", "--seed", "1", "--phases", "examples,fuzzing", "--no-shrink")


@pytest.mark.faults
def test_what_the_reference_allows_is_done_and_what_it_forbids_is_refused(fresh_api: Api) -> None:
    admin = sender(fresh_api)

    code, said = fuzz(fresh_api, admin, *SHORT)

    assert code == 0, said
    [generated] = re.findall(r"(\d+) generated", said)
    assert int(generated) > 200
    assert fresh_api.get("/api/me", headers=admin.headers).status_code == 200
