"""The eight combinations of the toggles do what the design says, through outages, restarts and kills."""

from dataclasses import replace
from pathlib import Path

import pytest

from faults.toggles.model import COMBINATIONS, World
from faults.toggles.story import Story, services, tell
from faults.toggles.subject import BACKUP, TRUTH
from faults.toggles.table import Line, printed
from retrobus.development.embedded import EmbeddedPostgres

pytestmark = pytest.mark.faults


def test_every_combination_answers_as_the_design_says(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    with services(postgres, tmp_path) as started:
        lines = tell(Story(postgres, started))

    complaints = [complaint for line in lines for complaint in line.complaints()]
    assert not complaints, "\n".join([printed(lines), *complaints])
    assert sum(len(line.cells) for line in lines) == 576


def test_a_cell_that_differs_in_anything_is_marked() -> None:
    world = World(COMBINATIONS[-1], production=False, truth=dict(TRUTH), backup=BACKUP)
    world.start()
    said = world.ask("get", "920", "")

    for wrong in ({"status": 404}, {"content": ("920", "autre")}, {"source": "postgres"}, {"origin": "snapshot"}):
        line = Line("down", "LOAD", {"get": (said, replace(said, **wrong))})

        assert (line.agreed, "❌" in str(line), len(line.complaints())) == (0, True, 1)
