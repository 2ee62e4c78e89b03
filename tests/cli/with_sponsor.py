"""The program `retrobus` with one more column in the model: run by `test_new_migration.py` in processes of its own."""

import sys
from pathlib import Path

from retrobus.cli import main
from retrobus.model.columns import labelled, prose
from retrobus.model.tables import metadata

sys.path.append(str(Path(__file__).parents[1] / "support"))

if __name__ == "__main__":
    table = sys.argv.pop(1)
    metadata.tables[table].append_column(labelled("Mécène", prose("sponsor")))
    if sys.argv[1] == "build":
        from schemas import build_from_models

        build_from_models(sys.argv[2])
    else:
        main()
