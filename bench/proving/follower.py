"""A client that follows the feed of changes and keeps a copy, as `retrobus follow` does."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from checking.client import Answer, Client, Request
from checking.kinds import ADMIN, KINDS, Slot, State
from checking.model import Model

PAUSE = 0.2
PAGE = 500
PATIENCE = 20.0
"""Seconds in which a copy must become what the lists are, once nothing is written any more."""


@dataclass
class Copy:
    """The rows as the feed told them, by resource and key, with their versions."""

    cursor: str | None = None
    rows: dict[tuple[str, str], tuple[int, Slot | None, State]] = field(default_factory=dict)

    def page(self, client: Client) -> tuple[Request, Answer, bool]:
        """Reads one page; its exchange, and whether the copy is whole now."""
        since = f"&since={self.cursor}" if self.cursor else ""
        request = Request("follow", "GET", f"/api/changes?limit={PAGE}{since}")
        answer = client.send(request)
        if answer.status == 410:
            self.rows, self.cursor = {}, None
        if answer.status != 200:
            return request, answer, False
        found = answer.json
        for change in found["changes"]:
            self._take(change)
        self.cursor = found["cursor"]
        return request, answer, not found["more"]

    def _take(self, change: Mapping[str, object]) -> None:
        place = (str(change["resource"]), str(change["key"]))
        version, kind = int(str(change["version"])), KINDS[place[0]]
        if self.rows.get(place, (0, None, None))[0] >= version:
            return
        row = change.get("row")
        if not isinstance(row, dict):
            self.rows[place] = (version, None, None)
        else:
            self.rows[place] = (version, (place[0], row[kind.name]), row[kind.mark])

    def compare(self, client: Client, held: Mapping[Slot, State], model: Model) -> None:
        """Reads to the end, then notes each row of the copy that is not what Postgres holds."""
        end = time.monotonic() + PATIENCE
        while not self.page(client)[2] and time.monotonic() < end:
            time.sleep(PAUSE / 4)
        client.close()
        copy = {slot: mark for _, slot, mark in self.rows.values() if slot is not None and mark != ADMIN}
        for slot in copy.keys() | held.keys():
            mine, theirs = copy.get(slot), held.get(slot)
            if mine != theirs:
                kind = "resurrected" if theirs is None else "lost"
                model.fault(kind, slot, f"the copy of the follower holds {mine}, the database {theirs}")


class Follower(threading.Thread):
    """Asks for what changed since its cursor, again and again."""

    def __init__(self, name: str, client: Client) -> None:
        super().__init__(name=name, daemon=True)
        self.copy = Copy()
        self.exchanges: list[tuple[Request, Answer]] = []
        self.error: BaseException | None = None
        self._client = client
        self._over = threading.Event()

    def stop(self) -> None:
        """Ends it after the page that is under way."""
        self._over.set()

    def run(self) -> None:
        """Follows until it is stopped."""
        try:
            while not self._over.wait(PAUSE):
                self.exchanges.append(self.copy.page(self._client)[:2])
        except BaseException as error:  # noqa: BLE001 - the run must hear of it
            self.error = error
        self._client.close()
