"""The rows that the soak works on."""

from checking.kinds import Slot

EVENTS = tuple(f"sortie-{number}" for number in range(10))
VEHICLES = tuple(str(number) for number in range(1, 9))
"""Parcs that are also numeric ids of other vehicles: a request by such a parc must not reach those vehicles."""

MEMBERS = tuple(f"membre-{number}@example.org" for number in range(8))
SLOTS: tuple[Slot, ...] = (
    *(("Event", name) for name in EVENTS),
    *(("Vehicle", name) for name in VEHICLES),
    *(("Member", name) for name in MEMBERS),
)
