"""A person with psql who reads and writes the same rows as the service."""

from itertools import count
from random import Random

import asyncpg
from checking.client import now
from checking.kinds import Slot, State
from checking.model import Model
from soaking.author import Author
from soaking.slots import EVENTS
from soaking.surroundings import Database

INSERTS = {
    "Event": "INSERT INTO event (id, title, date) VALUES ($1, $2, '2026-05-01') RETURNING id",
    "Vehicle": "INSERT INTO vehicle (parc, modele) VALUES ($1, $2) RETURNING parc",
    "Member": "INSERT INTO member (id, email, city) VALUES ($3, $1, $2) RETURNING id",
}
UPDATES = {
    "Event": "UPDATE event SET title = $2 WHERE id = $1 RETURNING id",
    "Vehicle": "UPDATE vehicle SET modele = $2 WHERE parc = $1 RETURNING parc",
    "Member": "UPDATE member SET city = $2 WHERE email = $1 RETURNING id",
}
DELETES = {
    "Event": "DELETE FROM event WHERE id = $1 RETURNING id",
    "Vehicle": "DELETE FROM vehicle WHERE parc = $1 RETURNING parc",
    "Member": "DELETE FROM member WHERE email = $1 RETURNING id",
}
LOOKS = {
    "Event": "SELECT title AS mark, id AS key FROM event WHERE id = $1",
    "Vehicle": "SELECT modele AS mark, parc AS key FROM vehicle WHERE parc = $1",
    "Member": "SELECT city AS mark, id AS key FROM member WHERE email = $1",
}


class Hands:
    """Reads a row and has the model judge it, then writes and tells the model."""

    def __init__(self, random: Random, database: Database, model: Model, author: Author) -> None:
        self._random = random
        self._database = database
        self._model = model
        self._author = author
        self._ids = (f"psql-{number}" for number in count(1))

    def any(self) -> None:
        """Changes one row, or sometimes many."""
        steps = (self.insert, self.update, self.delete, self.empty_events)
        self._random.choices(steps, (30, 40, 30, 2))[0]()

    def look(self, slot: Slot) -> State:
        """The mark of a row in Postgres; the model judges it."""
        rows = self._database.psql.run(LOOKS[slot[0]], slot[1])
        shown = rows[0]["mark"] if rows else None
        if rows:
            self._model.knows(slot, shown, rows[0]["key"])
        track = self._model.track(slot)
        allowed = set(track.possible)
        fault = track.shown_by_postgres(shown, now())
        self._model.fault(fault, slot, f"psql found {shown}, possible was {allowed}")
        return shown

    def insert(self) -> None:
        """Inserts a row behind the service's back if there is none."""
        slot, mark = self._author.slot(), self._author.mark()
        if self.look(slot) is None:
            key = next(self._ids) if slot[0] == "Member" else slot[1]
            self._model.knows(slot, mark, key)
            values = (slot[1], mark, *([key] if slot[0] == "Member" else []))
            self._write("insert", slot, mark, INSERTS[slot[0]], *values)

    def update(self) -> None:
        """Changes a row behind the service's back."""
        slot, mark = self._author.slot(), self._author.mark()
        if self.look(slot) is not None:
            self._write("update", slot, mark, UPDATES[slot[0]], slot[1], mark)

    def delete(self) -> None:
        """Deletes a row behind the service's back."""
        slot = self._author.slot()
        if self.look(slot) is not None:
            self._write("delete", slot, None, DELETES[slot[0]], slot[1])

    def empty_events(self) -> None:
        """Deletes several events in one statement."""
        sent = now()
        rows = self._database.psql.run("DELETE FROM event WHERE id = ANY($1::text[]) RETURNING id", list(EVENTS))
        for row in rows:
            self._note("empty", ("Event", row["id"]), None, sent)

    def _write(self, step: str, slot: Slot, mark: State, statement: str, *values: str) -> None:
        sent = now()
        try:
            rows = self._database.psql.run(statement, *values)
        except asyncpg.UniqueViolationError:
            return  # a replay inserted the row first
        if rows:
            self._model.knows(slot, mark or "", rows[0][0])
            self._note(step, slot, mark, sent)
        if slot[0] == "Vehicle" and mark is None:
            self._model.touch_all("Event", now())  # the foreign key changed the events of that vehicle

    def _note(self, step: str, slot: Slot, mark: State, sent: float) -> None:
        at = now()
        self._model.steps[f"psql {step}"] += 1
        self._model.tell(f"{sent:.3f} {at:.3f} psql {step} -> {mark}", slot)
        self._model.track(slot).by_hand(mark, sent, at)
