"""Prints what each combination of the three toggles answers, beside what it should answer: `make toggles`.

Starts twelve services and kills their Postgres. Ends with 1 if any answer differs.
"""

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

for folder in ("tests", "tests/support"):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / folder))

from faults.toggles.story import Story, services, tell
from faults.toggles.table import printed
from harness import free_port
from retrobus.development.embedded import embedded_postgres


def main() -> int:
    """Prints the table, then one paragraph for each cell that differs."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        place = Path(folder)
        postgres = stack.enter_context(embedded_postgres(place / "postgres", port=free_port()))
        lines = tell(Story(postgres, stack.enter_context(services(postgres, place))))
    cells, agreed = sum(len(line.cells) for line in lines), sum(line.agreed for line in lines)
    print(printed(lines))
    print(f"\n{'✅' if agreed == cells else '❌'} {agreed} of {cells} cells as the design says")
    for complaint in (complaint for line in lines for complaint in line.complaints()):
        print(complaint)
    return 0 if agreed == cells else 1


if __name__ == "__main__":
    sys.exit(main())
