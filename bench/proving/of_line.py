"""Faults of the line between a service and Postgres, made by the proxy."""

from functools import partial
from typing import Literal

from proving.scene import Scene
from proving.site import Site

from faults.proxy import Mode
from harness import until

CUTS = 16
"""Writes that are cut, if enough are sent."""


def _for_a_while(scene: Scene, mode: Mode, seconds: float) -> None:
    scene.begin()
    scene.all(lambda site: site.cut(mode))
    scene.wait(seconds)
    scene.heal()
    scene.all(Site.heal)


def refused(scene: Scene) -> None:
    """Nothing listens on Postgres's port for four seconds."""
    _for_a_while(scene, "refuse", 4)


def black_hole(scene: Scene) -> None:
    """What is sent to Postgres disappears for five seconds; no connection is ended."""
    _for_a_while(scene, "black hole", 5)


def reset_storm(scene: Scene) -> None:
    """Every connection is reset each 0.2 s, for four seconds; between two resets connections may be opened."""
    scene.begin()
    for _ in range(20):
        scene.all(lambda site: site.line.become("reset"))
        scene.wait(0.05)
        scene.all(lambda site: site.line.become("pass"))
        scene.wait(0.15)
    scene.heal()


def flapping(scene: Scene) -> None:
    """Postgres is away for half a second and back for 0.7 s, five times."""
    scene.begin()
    for _ in range(5):
        scene.all(lambda site: site.cut("refuse"))
        scene.wait(0.5)
        scene.heal()
        scene.all(Site.heal)
        scene.wait(0.7)


def slow(scene: Scene) -> None:
    """Every answer of Postgres comes 300 ms later, for five seconds."""
    scene.begin()
    for site in scene.sites:
        site.line.delay = 0.3
    scene.wait(5)
    scene.heal()
    for site in scene.sites:
        site.line.delay = 0.0


def _cut_commits(scene: Scene, side: Literal["before", "after"]) -> None:
    scene.begin()
    for _ in range(CUTS):
        for site in scene.sites:
            site.line.cut_write(side)
            site.line.cut_commit(side)
        scene.wait(0.3)
    scene.heal()
    for site in scene.sites:
        if site.line.cuts < CUTS // 2:
            site.complaints.append(f"only {site.line.cuts} writes were cut")


def commits_cut_before(scene: Scene) -> None:
    """The line is cut sixteen times when a write is sent: Postgres never gets it."""
    _cut_commits(scene, "before")


def commits_cut_after(scene: Scene) -> None:
    """The line is cut sixteen times when Postgres has committed: the service never hears of it."""
    _cut_commits(scene, "after")


def commits_cut_and_away(scene: Scene) -> None:
    """When Postgres has committed a write the line is cut, and Postgres cannot be asked for 0.9 s; five times."""
    scene.begin()
    for round_ in range(1, 6):
        for site in scene.sites:
            site.line.cut_write("after", partial(site.cut, "refuse"))
        until(lambda: all(site.line.cuts >= round_ for site in scene.sites), what="a write to be cut")  # noqa: B023 - used at once
        scene.wait(0.9)
        scene.heal()
        scene.all(Site.heal)
        scene.all(Site.wait_for_postgres)
        scene.wait(0.3)
