"""Measures the shape of a source tree: lines, long functions, nested functions, SQL text, imports between rooms.

A room is a package directly under `src/retrobus`; a module that lies there alone is a room of its own in the import
graph, and is counted under `(top)` in the lines by room. Only the syntax is read: nothing is imported or run.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

PACKAGE = "retrobus"
TOP = "(top)"
LONG_MODULE = 250
"""Lines above which a module counts as too long."""

LONG_FUNCTION = 20
"""Lines above which a function counts as too long, from its `def` to its last line, docstring included."""

DEEP = 2
"""Levels of functions or lambdas inside a function that still count as readable."""

SQL = re.compile(
    r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|CREATE|ALTER|DROP|SET|BEGIN|LOCK|TRUNCATE|COPY)\b(?!:)"
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """What one file shows. `untyped_connections` are lines; `imports` names the rooms that the file imports."""

    path: str
    room: str
    lines: int
    long_functions: tuple[tuple[str, int], ...]
    deep_functions: tuple[str, ...]
    driver: bool
    sql: bool
    untyped_connections: tuple[int, ...]
    classes: tuple[str, ...]
    imports: frozenset[str]

    @property
    def line_of_table(self) -> str:
        """The room under which the module's lines are counted."""
        return TOP if self.path.count("/") == 0 else self.room


@dataclass(frozen=True, slots=True)
class Tree:
    """All modules of one revision."""

    modules: list[Module] = field(default_factory=list)

    def figures(self) -> dict[str, str]:
        """Each measure that is one number, by its name."""
        sizes = sorted(module.lines for module in self.modules)
        longest = max(self.modules, key=lambda module: module.lines)
        return {
            "files": str(len(self.modules)),
            "lines": str(sum(sizes)),
            "median module": f"{median(sizes):.0f}",
            "longest module": f"{longest.lines} ({longest.path})",
            **{title: str(len(places)) for title, places in self.lists().items()},
            "modules that name the driver": str(sum(module.driver for module in self.modules)),
            "modules with SQL text": str(sum(module.sql for module in self.modules)),
            "circles between rooms": str(len(self.circles())),
        }

    def rooms(self) -> dict[str, tuple[int, int]]:
        """Files and lines of each room."""
        names = sorted({module.line_of_table for module in self.modules})
        parts = {name: [module.lines for module in self.modules if module.line_of_table == name] for name in names}
        return {name: (len(lines), sum(lines)) for name, lines in parts.items()}

    def lists(self) -> dict[str, list[str]]:
        """The places that are larger than our limits, by the name of the measure."""
        modules = self.modules
        return {
            f"modules over {LONG_MODULE} lines": [
                f"{module.path} ({module.lines})" for module in modules if module.lines > LONG_MODULE
            ],
            f"functions over {LONG_FUNCTION} lines": [
                f"{module.path}: {name} ({lines})" for module in modules for name, lines in module.long_functions
            ],
            f"functions nested deeper than {DEEP}": [
                f"{module.path}: {name}" for module in modules for name in module.deep_functions
            ],
            "connection: Any": [
                f"{module.path}: line {line}" for module in modules for line in module.untyped_connections
            ],
            "class names used twice": [
                f"{name} ({', '.join(places)})" for name, places in sorted(self.classes().items()) if len(places) > 1
            ],
        }

    def classes(self) -> dict[str, list[str]]:
        """The modules in which each class name is defined."""
        found: dict[str, list[str]] = {}
        for module in self.modules:
            for name in module.classes:
                found.setdefault(name, []).append(module.path)
        return found

    def imports(self) -> dict[str, set[str]]:
        """The rooms that each room imports."""
        graph: dict[str, set[str]] = {module.room: set() for module in self.modules}
        for module in self.modules:
            graph[module.room] |= module.imports & graph.keys() - {module.room}
        return graph

    def circles(self) -> list[list[str]]:
        """Each group of rooms in which every room reaches every other one by imports."""
        graph = self.imports()
        reached = {room: _reached(graph, room) for room in graph}
        groups = {frozenset(other for other in reached[room] if room in reached[other]) for room in graph}
        return sorted(sorted(group) for group in groups if group)


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def measured(source: Path) -> Tree:
    """The tree whose package lies in `source/retrobus`."""
    root = source / PACKAGE
    return Tree([_module(path, path.relative_to(root)) for path in sorted(root.rglob("*.py"))])


def _module(path: Path, place: Path) -> Module:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    lengths = [(node.name, _lines(node)) for node in functions]
    arguments = [node for node in ast.walk(tree) if isinstance(node, ast.arg)]
    return Module(
        path=place.as_posix(),
        room=place.parts[0].removesuffix(".py"),
        lines=len(text.splitlines()),
        long_functions=tuple((name, lines) for name, lines in lengths if lines > LONG_FUNCTION),
        deep_functions=tuple(_deep(tree, level=-1)),
        driver=any(name.partition(".")[0] == "asyncpg" for name in _imported(tree)),
        sql=any(SQL.match(string) for string in _strings(tree)),
        untyped_connections=tuple(argument.lineno for argument in arguments if _is_untyped_connection(argument)),
        classes=tuple(node.name for node in tree.body if isinstance(node, ast.ClassDef)),
        imports=frozenset(name.split(".")[1] for name in _imported(tree) if name.startswith(f"{PACKAGE}.")),
    )


def _lines(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _is_untyped_connection(argument: ast.arg) -> bool:
    return (
        "connection" in argument.arg and argument.annotation is not None and ast.unparse(argument.annotation) == "Any"
    )


def _deep(node: ast.AST, level: int) -> Iterator[str]:
    """The functions and lambdas below `node` that are nested too deeply; `level` 0 is a function of the module."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.Lambda):
            if level + 1 > DEEP:
                yield getattr(child, "name", f"lambda in line {child.lineno}")
            yield from _deep(child, level + 1)
        else:
            yield from _deep(child, level)


def _imported(tree: ast.Module) -> Iterator[str]:
    """The full name of each module that is imported; `from retrobus import x` gives `retrobus.x`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            yield from (f"{PACKAGE}.{name.name}" for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _strings(tree: ast.Module) -> Iterator[str]:
    """Every string of the code, without docstrings and explanations below a constant."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value
