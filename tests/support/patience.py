"""Limits of the program that a test run changes, in its own process and in those that it forks."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

VARIABLE = "RETROBUS_TEST_LIMITS"
"""The variable by which a forked process gets its limits: a JSON object, as `change` takes it."""


def change(limits: Mapping[str, Any]) -> None:
    """Gives the modules these values, named as `package.module.NAME`; AttributeError if there is no such name."""
    for name, value in limits.items():
        module, _, attribute = name.rpartition(".")
        holder = import_module(module)
        getattr(holder, attribute)
        setattr(holder, attribute, value)
