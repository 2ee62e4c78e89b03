"""Everything around the model: Postgres with psql, and the settings of the service."""

import json
from typing import Any

import asyncpg
from checking.client import now
from checking.model import CONFLICTS
from checking.psql import Psql

from retrobus.development.embedded import EmbeddedPostgres

SETTINGS = {"APP_ENV": "test", "DATABASE_TIMEOUT": "0.5", "RUNTIME_STATE_DEBOUNCE": "0.2"}


class Database:
    """The one Postgres, up or down, and psql on it."""

    def __init__(self, server: EmbeddedPostgres, name: str) -> None:
        self.server = server
        self.url = server.url(name)
        self.psql = Psql(self.url)
        self.up = True
        self.gone_since: float | None = None
        """The time since which Postgres cannot have answered; None while it may answer."""

    def end(self, how: str) -> None:
        """Kills or stops Postgres; it has ended when this returns."""
        self.psql.leave()
        if how == "kill -9":
            self.server.kill()
        else:
            self.server.stop("fast" if how == "stop" else "immediate")
        self.up, self.gone_since = False, now()

    def start(self) -> None:
        """Starts Postgres; it accepts connections when this returns."""
        self.gone_since = None
        self.server.start()
        self.up = True

    def cut(self) -> None:
        """Ends every connection of the service; the server stays."""
        self.psql.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'retrobus'")

    def postgres_was_gone(self, sent: float, received: float) -> bool:  # noqa: ARG002 - it comes back between requests
        """Whether Postgres cannot have answered a request that was sent then, the last one of the run."""
        return self.gone_since is not None and sent > self.gone_since

    def service_was_away(self, sent: float, received: float) -> bool:  # noqa: ARG002 - it is killed at any time
        """Whether no answer is no surprise."""
        return True

    def conflicts(self, after: int) -> list[asyncpg.Record]:
        """The rows of table `conflict` with a higher id."""
        return self.psql.run(CONFLICTS, after)

    def quiet(self) -> bool:
        """Whether no transaction of the service is running."""
        busy = "SELECT FROM pg_stat_activity WHERE application_name = 'retrobus' AND backend_xid IS NOT NULL"
        return not self.psql.run(busy)


def rows_as_json(psql: Psql) -> dict[str, list[Any]]:
    """Every row in the form of the API, which is the form of the predecessor's exports."""
    wires = {
        "Vehicle": "SELECT wire_public || wire_images || wire_private AS row FROM vehicle",
        "Event": "SELECT wire_public || wire_private AS row FROM event",
        "members": "SELECT wire AS row FROM member",
    }
    return {name: [json.loads(found["row"]) for found in psql.run(sql)] for name, sql in wires.items()}
