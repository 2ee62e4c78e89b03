"""Followers hold no ghost whatever writers, long transactions, psql, restores and resets do: a short form.

`make followproof` does the same for minutes and for several seeds.
"""

from pathlib import Path

import pytest

from faults.following import CHECKS, WRITES, proving


@pytest.mark.faults
def test_six_followers_hold_what_the_lists_hold(database: str, tmp_path: Path) -> None:
    with proving(database, tmp_path, seed=1) as (proof, proxy):
        proof.run(8, proxy)

    assert proof.differences == []
    assert proof.checks >= CHECKS
    assert proof.writes >= WRITES
