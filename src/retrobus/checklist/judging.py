"""The form of the checklist: a table of rules, of which the first that holds for a thing gives its line."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["ok", "warning", "error"]
Facts = Mapping[str, Any]
Condition = Callable[[Facts], object]


@dataclass(frozen=True, slots=True)
class Item:
    """One line: what was looked at, what was found, and what to do about it."""

    level: Level
    name: str
    found: str
    cure: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A line that is told when the facts say so; `{names}` of facts in both texts are filled in."""

    level: Level
    name: str
    when: Condition
    found: str
    cure: str = ""


def error(name: str, when: Condition, found: str, cure: str) -> Rule:
    """To be cured before the service is used."""
    return Rule("error", name, when, found, cure)


def warning(name: str, when: Condition, found: str, cure: str) -> Rule:
    """The service works, but an operator should know."""
    return Rule("warning", name, when, found, cure)


def good(name: str, found: str) -> Rule:
    """As it should be: told if no rule of this name before it holds."""
    return Rule("ok", name, lambda _: True, found)


def judged(rules: Iterable[Rule], facts: Facts) -> Iterator[Item]:
    """A line for each name.

    For example: of the three rules « Durabilité » the first holds for `fsync=off`, the second for
    `synchronous_commit=off`, the third otherwise.
    """
    told: set[str] = set()
    for rule in rules:
        if rule.name not in told and rule.when(facts):
            told.add(rule.name)
            yield Item(rule.level, rule.name, rule.found.format_map(facts), rule.cure.format_map(facts))
