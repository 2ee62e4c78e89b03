"""Reads the Dockerfile: its stages, each a list of instructions with their words."""

import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLAG = "--"


@dataclass
class Stage:
    """A stage: the image that it begins with, its name, and its instructions as (name, text)."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """The texts of the instructions with this name."""
        return [text for found, text in self.steps if found == name]

    def words(self, name: str) -> list[str]:
        """The last instruction with this name, written as a JSON list after its options."""
        found: list[str] = json.loads(self.all(name)[-1].partition("[")[2].join(["[", ""]))
        return found

    @property
    def environment(self) -> dict[str, str]:
        """What ENV sets."""
        return dict(pair.split("=", 1) for text in self.all("ENV") for pair in shlex.split(text))


def stages(path: Path = ROOT / "Dockerfile") -> list[Stage]:
    """Every stage of the file."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ").splitlines()
    found: list[Stage] = []
    for line in whole:
        name, _, text = line.partition(" ")
        if name == "FROM":
            base, _, label = text.partition(" AS ")
            found.append(Stage(base, label))
        else:
            found[-1].steps.append((name, " ".join(text.split())))
    return found


def options(text: str) -> tuple[dict[str, str], list[str]]:
    """The `--name=value` words at the beginning of an instruction, and the words after them."""
    words = shlex.split(text)
    flags = [word for word in words if word.startswith(FLAG)]
    named = dict(word.removeprefix(FLAG).split("=", 1) for word in flags)
    return named, words[len(flags) :]
