"""The functions and triggers that the tables must have, read from the text that makes them."""

import re
from dataclasses import dataclass
from itertools import chain

from retrobus.database import identity, numbers, rules, triggers
from retrobus.model.resources import ALL

FUNCTION = re.compile(r"CREATE OR REPLACE FUNCTION public\.(\w+)\(.*?AS \$\$(.*)\$\$", re.DOTALL)
TRIGGER = re.compile(r"CREATE TRIGGER (\w+) .*? ON (\w+) ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Part:
    """One function or trigger: its name, the statement that makes it, and a function's body or a trigger's table."""

    name: str
    statement: str
    told: str


def _read(pattern: re.Pattern[str], statements: list[str]) -> dict[str, Part]:
    found = ((pattern.match(statement), statement) for statement in statements)
    return {match[1]: Part(match[1], statement, match[2]) for match, statement in found if match}


_STATEMENTS = [
    *rules.RULES,
    *triggers.SHARED,
    *chain.from_iterable(triggers.trigger_sql(resource) for resource in ALL),
    *chain.from_iterable(numbers.number_sql(name) for name in numbers.NUMBERED),
    *(identity.AT_HOME_SQL, identity.NOTE_SQL, identity.TRIGGER_SQL),
]
FUNCTIONS = _read(FUNCTION, _STATEMENTS)
TRIGGERS = _read(TRIGGER, _STATEMENTS)
