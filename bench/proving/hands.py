"""What an operator does to the rows beside the service, as the model must hear of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from checking.client import now
from checking.kinds import KINDS, Slot, State
from checking.model import ROWS, Model
from proving.site import Site

from retrobus.backups.formats import read_backup

CHANGED, DELETED = 6, 3
"""Rows that psql changes, and rows that it deletes."""

CHANGE = {
    "Event": "UPDATE event SET title = $2 WHERE id = $1",
    "Vehicle": "UPDATE vehicle SET modele = $2 WHERE parc = $1",
    "Member": "UPDATE member SET city = $2 WHERE email = $1",
}
DELETE = {
    "Event": "DELETE FROM event WHERE id = $1",
    "Vehicle": "DELETE FROM vehicle WHERE parc = $1",
    "Member": "DELETE FROM member WHERE email = $1",
}


def changed_by_hand(site: Site) -> None:
    """Changes some rows and deletes some others by psql, while the service cannot reach Postgres."""
    slots = [(row["resource"], row["name"]) for row in site.psql.run(ROWS)][: CHANGED + DELETED]
    site.crowd.strangers(slots)
    for number, slot in enumerate(slots):
        sent, mark = now(), f"by-hand-{number}" if number < CHANGED else None
        if mark is not None:
            site.psql.run(CHANGE[slot[0]], slot[1], mark)
        else:
            site.psql.run(DELETE[slot[0]], slot[1])
        site.deeds.append((now(), _by_hand(slot, mark, sent)))


def _by_hand(slot: Slot, mark: State, sent: float) -> Callable[[Model], object]:
    at = now()

    def tell(model: Model) -> None:
        model.tell(f"{sent:.3f} {at:.3f} psql -> {mark}", slot)
        model.track(slot).by_hand(mark, sent, at, unseen=True)

    return tell


@contextmanager
def restored(site: Site, name: str) -> Iterator[None]:
    """A restore of this backup runs for the time of the block."""
    rows = read_backup(site.service.backups / name).rows
    states = {
        (resource, row[KINDS[resource].name]): row[KINDS[resource].mark]
        for resource, found in rows.items()
        for row in found
    }
    sent = now()
    yield
    until = now()

    def tell(model: Model) -> None:
        for slot, state in states.items():
            model.tell(f"{sent:.3f} {until:.3f} a restore may bring {state}", slot)
            model.track(slot).offer(state, sent, until)

    site.deeds.append((sent, tell))
