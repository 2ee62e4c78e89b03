"""The service as a process, as the fault tests meet it."""

from dataclasses import dataclass

from harness import Api, Process


@dataclass(frozen=True)
class Service:
    """`retrobus serve` as a process on the server, with one row of each kind."""

    api: Api
    process: Process
    headers: dict[str, str]
    """Those of an ADMIN."""

    def is_reading(self) -> bool:
        """Whether a list is answered from Postgres now."""
        return self.api.get("/api/events", headers=self.headers).status_code == 200

    def metric(self, name: str) -> float:
        """The present value of one figure; 0 if nothing was counted yet."""
        return self.api.metric(name) or 0

    @property
    def outages(self) -> float:
        """How often Postgres was lost since the start."""
        return self.metric('retrobus_database_changes_total{to="down"}')
