"""Compares docs/architecture.md with the code: the picture with packages and import rules, the table of promises with
the files and tests that exist.
"""

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src/retrobus"
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:[\w-]+/)*[\w-]+\.(?:py|md))`", PAGE)))
PROVEN = re.findall(r"`(tests/[\w/]+\.py)`: `(test_\w+)`", PAGE)


def picture() -> list[list[str]]:
    """The names in the boxes of the picture, layer by layer from the top."""
    [drawing] = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in drawing.splitlines() if "│" in line]


def layers() -> list[list[str]]:
    """The layers of the import rules, from the top."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    [layered] = [rule["layers"] for rule in rules if rule["type"] == "layers"]
    return [re.findall(r"\w+", layer) for layer in layered]


def promises() -> list[list[str]]:
    """The cells of each row of the table of promises."""
    [table] = re.findall(r"^\| promise \|.*\n\| --- .*\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [line.strip("| ").split(" | ") for line in table.splitlines()]


def test_the_picture_shows_the_layers_of_the_import_rules() -> None:
    assert picture() == layers()


def test_the_picture_shows_every_room_once_and_nothing_else() -> None:
    packages = [place.parent.name for place in SOURCE.glob("*/__init__.py")]
    modules = [place.stem for place in SOURCE.glob("*.py") if place.stem != "__init__"]

    assert sorted(name for layer in picture() for name in layer) == sorted(packages + modules)


@pytest.mark.parametrize("name", NAMED)
def test_every_file_that_the_page_names_exists(name: str) -> None:
    assert (SOURCE / name).is_file() or (ROOT / name).is_file()


@pytest.mark.parametrize(("file", "test"), PROVEN)
def test_every_test_that_the_page_names_exists(file: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")


def test_every_promise_names_a_file_that_keeps_it_and_a_test_that_proves_it() -> None:
    kept = [re.findall(r"`([\w/]+\.py)`", keeper) for _, keeper, _ in promises()]
    proven = [re.findall(r"`tests/[\w/]+\.py`: `test_\w+`", proof) for _, _, proof in promises()]

    assert len(promises()) >= 12
    assert all(kept)
    assert all(proven)


def test_no_module_is_longer_than_a_reader_can_keep_in_mind() -> None:
    lines = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCE.rglob("*.py")}

    assert {name: number for name, number in lines.items() if number > 250} == {}


def test_two_classes_never_share_a_name() -> None:
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")]

    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))

    assert [name for name, number in names.items() if number > 1] == []


def test_the_readme_sends_developers_to_this_page_first() -> None:
    more = (ROOT / "README.md").read_text(encoding="utf-8").partition("## More")[2]

    assert re.findall(r"\]\(([^)]+)\)", more)[0] == "docs/architecture.md"
