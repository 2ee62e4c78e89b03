"""The one place that chooses the store."""

import asyncio
from pathlib import Path

from retrobus.store.postgres import PostgresStore
from stores import entered, opening


def test_with_every_toggle_off_the_store_is_postgresql_alone(store_database: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"

    with asyncio.Runner() as runner, entered(runner, opening(store_database, folder)) as opened:
        chosen = (type(opened.store), opened.mirrored, opened.snapshot, opened.mode)

    assert chosen == (PostgresStore, None, None, "strict")
    assert not folder.exists()
