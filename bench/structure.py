"""Prints the shape of the source tree in one table: `make structure`, or `make structure ARGS="--against REV"`.

With `--against` another revision of the repository is unpacked into a temporary folder and measured too; the table
then has two columns. The lists below the table are those of the working tree.
"""

import argparse
import io
import subprocess
import tarfile
import tempfile
from pathlib import Path

from structuring.measure import TOP, Tree, measured

ROOT = Path(__file__).resolve().parents[1]


def asked() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="REV", help="revision of this repository to compare with")
    return parser.parse_args()


def measured_at(revision: str) -> Tree:
    """The tree as the revision has it, read from a copy in a temporary folder."""
    command = ["git", "archive", "--format=tar", revision, "src"]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
        return measured(Path(folder) / "src")


def table(trees: dict[str, Tree]) -> list[list[str]]:
    """One row for each measure, then one for each room: `files / lines`, and – where a revision lacks the room."""
    heads = ["", *trees]
    figures = [tree.figures() for tree in trees.values()]
    rows = [[name, *(each[name] for each in figures)] for name in figures[0]]
    rooms = [tree.rooms() for tree in trees.values()]
    names = sorted({name for each in rooms for name in each}, key=lambda name: (name == TOP, name))
    cells = [[f"  {name}", *(_cell(each.get(name)) for each in rooms)] for name in names]
    return [heads, *rows, ["files / lines by room", *("" for _ in trees)], *cells]


def _cell(room: tuple[int, int] | None) -> str:
    return "–" if room is None else f"{room[0]} / {room[1]}"


def printed(rows: list[list[str]]) -> str:
    """The rows in columns of equal width."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])


def main() -> None:
    """Prints the table, the imports between rooms, and the circles of each revision."""
    arguments = asked()
    now = measured(ROOT / "src")
    trees = {arguments.against: measured_at(arguments.against), "now": now} if arguments.against else {"now": now}
    print(printed(table(trees)))
    print("\nroom -> the rooms that it imports")
    for room, others in sorted(now.imports().items()):
        print(f"  {room} -> {', '.join(sorted(others)) or 'none'}")
    for name, tree in trees.items():
        circles = "; ".join(" <-> ".join(circle) for circle in tree.circles())
        print(f"\ncircles between rooms ({name}): {circles or 'none'}")
    for title, places in now.lists().items():
        print("\n  ".join([f"\n{title}", *(places or ["none"])]))


if __name__ == "__main__":
    main()
