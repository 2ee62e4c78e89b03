"""Puts a mutant into a program that is loaded already: the place of its functions and values in memory is the same."""

import ast
import sys
from collections.abc import Iterator
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any

from mutating.mutants import Mutant, mutated


def plant(module: ModuleType, text: str, mutant: Mutant) -> None:
    """Changes the loaded module as the mutant says; modules that imported its functions have the changed ones."""
    tree, statement = mutated(text, mutant)
    if mutant.in_function:
        changed = ModuleType(module.__name__)
        changed.__dict__.update(__file__=module.__file__, __package__=module.__package__)
        exec(compile(tree, str(module.__file__), "exec"), changed.__dict__)  # noqa: S102 - our own program
        _replace(vars(module), vars(changed), str(module.__file__))
    else:
        _rebind(module, statement)


def _replace(old: Any, new: Any, file: str) -> None:
    """Gives each function of `old` the code of the function with the same name in `new`."""
    for name, value in new.items():
        for here, there in zip(_functions(old.get(name)), _functions(value), strict=False):
            if here.__code__.co_filename == file == there.__code__.co_filename:
                here.__code__, here.__defaults__ = there.__code__, there.__defaults__
                here.__kwdefaults__ = there.__kwdefaults__
        if hasattr(old.get(name), "cache_clear"):
            old[name].cache_clear()
        if isinstance(value, type) and value.__module__ == old.get("__name__", value.__module__):
            _replace(vars(old[name]), vars(value), file)


def _functions(value: Any) -> Iterator[FunctionType]:
    """The functions of which a value is made: itself, or what a decorator has wrapped."""
    parts = (value.fget, value.fset) if isinstance(value, property) else (value,)
    for part in parts:
        found = part.func if isinstance(part, cached_property) else part
        found = getattr(found, "__func__", found)
        while hasattr(found, "__wrapped__"):
            found = found.__wrapped__
        if isinstance(found, FunctionType):
            yield found


def _rebind(module: ModuleType, statement: ast.stmt) -> None:
    """Gives a module-level name its changed value, here and in every module that imported it."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
        raise TypeError(ast.dump(statement))
    target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
    name = ast.unparse(target)
    expression = ast.Expression(statement.value)
    value = eval(compile(expression, str(module.__file__), "eval"), vars(module))  # noqa: S307 - our own program
    old = getattr(module, name)
    for other in [found for found in sys.modules.values() if getattr(found, "__dict__", {}).get(name) is old]:
        setattr(other, name, value)
