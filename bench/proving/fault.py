"""What a fault is: what happens to a scene, and by what the run sees that it really happened."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from proving.figures import Figures
from proving.scene import Scene
from proving.site import Kind

Bite = Literal["outage", "refusals", "kill", "nothing"]
"""What must be seen: an outage (503, from memory 202), refused writes, unanswered requests; or nothing special."""

ENOUGH = 25
"""Requests during the fault below which a run proves nothing."""


@dataclass(frozen=True)
class Fault:
    """One row of the matrix."""

    title: str
    inject: Callable[[Scene], None]
    """Makes the fault and heals it; tells the scene when each begins."""

    bite: Bite = "outage"
    kinds: Sequence[Kind] = ("strict", "fallback")
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of the services beside the usual ones."""

    needs: Callable[[], str | None] = lambda: None
    """Why it cannot happen on this machine; None if it can."""

    disk: str | None = None
    """The small disk that the server of this fault is on, if it has a server of its own."""

    boots: bool = True
    """Whether the services are started before the fault; else the fault starts them."""

    def doubt(self, kind: Kind, figures: Figures) -> str | None:
        """Why the run proves nothing: too few requests, or no sign of the fault; None if it is valid."""
        if figures.calls < ENOUGH:
            return f"only {figures.calls} requests during the fault"
        refused = figures.told.get("503", 0)
        memory = figures.told.get("202 memory", 0)
        cut = figures.told.get("0", 0) + figures.told.get("-1", 0)
        seen = {
            "outage": refused if kind == "strict" else memory,
            "refusals": refused,
            "kill": cut,
            "nothing": figures.served,
        }[self.bite]
        return None if seen else f"no sign of the fault in {figures.calls} requests: {figures.told}"
