"""One run: clients work, a fault happens and is healed, clients work on, all becomes quiet, and a verdict is given."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from checking.client import now
from proving.catalogue import FAULTS
from proving.crowd import Crowd
from proving.disks import disk
from proving.fault import Fault
from proving.figures import Figures, measured
from proving.judging import Verdict, judged
from proving.people import Exchange
from proving.scene import AFTER, CLIENTS, SMALL, WARM_UP, Scene, scene, server
from proving.site import Kind, Site

from retrobus.development.embedded import EmbeddedPostgres


@dataclass(frozen=True)
class Result:
    """What one run showed about one service."""

    fault: str
    kind: Kind
    verdict: Verdict
    figures: Figures
    doubt: str | None
    notes: list[str]
    exchanges: list[Exchange]
    began: float
    healed: float
    ended: float

    @property
    def valid(self) -> bool:
        """Whether it proves something, and nothing was broken."""
        return self.doubt is None and not self.verdict.total


@dataclass(frozen=True)
class Plant:
    """A known bug in the service: the variables that plant it, and statements that plant it in the database."""

    settings: Mapping[str, str] = field(default_factory=dict)
    sql: Sequence[str] = ()


SOUND = Plant()


def run(
    name: str,
    postgres: EmbeddedPostgres,
    folder: Path,
    crowds: Mapping[Kind, Crowd],
    plant: Plant = SOUND,
) -> list[Result]:
    """The results of one fault, one for each service."""
    fault = FAULTS[name]
    wanted = {kind: crowd for kind, crowd in crowds.items() if kind in fault.kinds}
    with ExitStack() as own:
        if fault.disk is not None:
            postgres = own.enter_context(server((disk(fault.disk) or folder) / "server", SMALL))
        found = own.enter_context(scene(postgres, wanted, folder, {**fault.settings, **plant.settings}))
        for site in found.sites:
            for statement in plant.sql:
                site.psql.run(statement)
        if fault.boots:
            found.all(Site.start)
            found.all(lambda site: site.open(CLIENTS))
            found.wait(WARM_UP)
        fault.inject(found)
        found.all(Site.wait_for_postgres)
        found.wait(AFTER)
        ended = now()
        found.all(Site.close)
        return [_result(name, fault, found, site, ended) for site in found.sites]


def _result(name: str, fault: Fault, found: Scene, site: Site, ended: float) -> Result:
    done = site.done
    exchanges = [exchange for work in done.works for exchange in work.exchanges] if done else []
    figures = measured(exchanges, found.began, found.healed, ended)
    doubt = fault.doubt(site.kind, figures)
    verdict = judged(site)
    return Result(name, site.kind, verdict, figures, doubt, found.notes, exchanges, found.began, found.healed, ended)
