"""Clocks of the service that jump, by libfaketime, and a database that was never migrated."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from checking.client import now
from proving.scene import CLIENTS, WARM_UP, Scene
from proving.site import Site

HOURS = 3600
PLACES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/local/lib/faketime/libfaketime.so.1")
MISSING = "libfaketime is not installed (apt-get install faketime)"


def library() -> Path | None:
    """libfaketime, if it is installed."""
    return next((found for place in PLACES for found in Path("/").glob(place.lstrip("/"))), None)


def lacking() -> str | None:
    """Why no clock can jump here; None if one can."""
    return None if library() else MISSING


def jump(seconds: int) -> Callable[[Scene], None]:
    """The clock of the service jumps while clients write; 1.5 s later Postgres is away for two seconds."""

    def inject(scene: Scene) -> None:
        scene.all(_start_with_a_clock)
        scene.wait(WARM_UP)
        scene.begin()
        scene.all(partial(_set, seconds=seconds))
        scene.wait(1.5)
        scene.all(lambda site: site.cut("refuse"))
        scene.wait(2)
        scene.heal()
        scene.all(Site.heal)

    return inject


def _clock(site: Site) -> Path:
    return site.service.folder / "clock"


def _start_with_a_clock(site: Site) -> None:
    _clock(site).write_text("+0\n")
    site.service.fresh = True
    site.service.settings |= {
        "LD_PRELOAD": str(library()),
        "FAKETIME_TIMESTAMP_FILE": str(_clock(site)),
        "FAKETIME_CACHE_DURATION": "1",
        "NO_FAKE_STAT": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    site.start()
    site.open(CLIENTS)


def _set(site: Site, seconds: int) -> None:
    fresh = _clock(site).with_suffix(".new")
    fresh.write_text(f"{seconds:+d}\n")
    fresh.rename(_clock(site))
    site.clock = (now(), seconds)


def migrations_missing(scene: Scene) -> None:
    """The service starts on a database without our tables; three seconds later they are there, as after a migration."""
    scene.all(_start_on_nothing)
    scene.begin()
    scene.wait(3)
    scene.heal()
    for site in scene.sites:
        site.psql.run("DROP SCHEMA public")
        site.psql.run("ALTER SCHEMA hidden RENAME TO public")


def _start_on_nothing(site: Site) -> None:
    hide = ("ALTER SCHEMA public RENAME TO hidden", "CREATE SCHEMA public", "GRANT USAGE ON SCHEMA public TO public")
    for statement in hide:
        site.psql.run(statement)
    site.start()
    site.open(CLIENTS)
