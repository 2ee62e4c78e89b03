"""The mutants of a module: the same program with one small mistake in it, as a programmer could make it.

Mistakes are made in functions and in the values of module-level names. Left alone are what does nothing when the
program runs (docstrings, annotations), the bodies of classes outside their functions, and sentences for people (texts
with a space), whose wording no test should nail down.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
}  # fmt: skip
OPPOSITES = {"any": "all", "all": "any", "min": "max", "max": "min"}
Function = ast.FunctionDef | ast.AsyncFunctionDef
SIMPLE = (ast.Expr, ast.Raise, ast.AugAssign, ast.Delete)


@dataclass(frozen=True)
class Mutant:
    """One mistake. `where` is the qualified name of the function or the module-level name around it."""

    where: str
    line: int
    lines: range
    """The lines of the statement around it: a test that ran none of them cannot notice it."""

    source: str
    before: str
    after: str
    node: int
    edit: int
    in_function: bool

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What names the mutant however the lines of the module move."""
        return self.where, self.source, self.before, self.after


@dataclass
class Place:
    """A node of the program, and how to put another in its place."""

    node: ast.AST
    put: Callable[[ast.AST], None]
    path: tuple[ast.AST, ...]


def mutants(text: str) -> list[Mutant]:
    """Every mutant of a program."""
    lines = text.splitlines()
    found = []
    for number, place in enumerate(_places(ast.parse(text))):
        for choice, after in enumerate(_edits(place.node)):
            found.append(_described(place, number, choice, after, lines))
    return found


def mutated(text: str, mutant: Mutant) -> tuple[ast.Module, ast.stmt]:
    """The program with the mistake, and the statement at its top level that holds it."""
    tree = ast.parse(text)
    place = list(_places(tree))[mutant.node]
    place.put(list(_edits(place.node))[mutant.edit])
    top = place.path[0] if place.path else place.node
    ast.fix_missing_locations(tree)
    return tree, next(node for node in tree.body if node.lineno == getattr(top, "lineno", 0))


def _described(place: Place, number: int, choice: int, after: ast.AST, lines: list[str]) -> Mutant:
    around = next(node for node in (place.node, *reversed(place.path)) if isinstance(node, ast.stmt))
    line = getattr(place.node, "lineno", around.lineno)
    names = [node.name for node in place.path if isinstance(node, Function | ast.ClassDef)]
    head = around.body[0].lineno - 1 if isinstance(around, ast.If | ast.For | ast.While | ast.With) else None
    end = max(around.lineno, head or 0) if head else around.end_lineno or around.lineno
    return Mutant(
        ".".join(names) or _name_of(place.path[0]),
        line,
        range(around.lineno, end + 1),
        lines[line - 1].strip(),
        _told(place.node),
        _told(after),
        number,
        choice,
        any(isinstance(node, Function) for node in place.path),
    )


def _told(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 80 else f"{text[:79]}…"


def _name_of(statement: ast.AST) -> str:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", statement)]
    return ast.unparse(targets[0])


# --- where ----------------------------------------------------------------------------------------


def _places(tree: ast.Module) -> Iterator[Place]:
    """Every node that may hold a mistake."""
    for statement in tree.body:
        holds = isinstance(statement, ast.Assign | ast.AnnAssign) and _is_value(statement.value)
        if holds or isinstance(statement, Function | ast.ClassDef):
            yield from _inside(statement, ())


def _is_value(value: ast.expr | None) -> bool:
    """Whether a module-level name holds a value, rather than another name for a type."""
    return value is not None and not isinstance(value, ast.Subscript | ast.Name | ast.Attribute)


def _inside(node: ast.AST, path: tuple[ast.AST, ...]) -> Iterator[Place]:
    path = (*path, node)
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "format_spec", "bases", "type_params"}:
            continue
        children = value if isinstance(value, list) else [value]
        for position, child in enumerate(children):
            if not isinstance(child, ast.AST) or _is_left_alone(node, child, position):
                continue
            yield Place(child, _putter(node, name, position if isinstance(value, list) else None), path)
            yield from _inside(child, path)


def _is_left_alone(parent: ast.AST, child: ast.AST, position: int) -> bool:
    if isinstance(parent, ast.ClassDef):
        return not isinstance(child, Function)
    documents = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
    return documents and position >= 0


def _putter(parent: ast.AST, name: str, position: int | None) -> Callable[[ast.AST], None]:
    def put(node: ast.AST) -> None:
        if position is None:
            setattr(parent, name, node)
        else:
            getattr(parent, name)[position] = node

    return put


# --- what -----------------------------------------------------------------------------------------


def _edits(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node."""
    if isinstance(node, ast.expr):
        yield from _edited_expressions(node)
    elif _may_go(node):
        yield ast.Pass()
    elif isinstance(node, ast.Continue | ast.Break):
        yield ast.Break() if isinstance(node, ast.Continue) else ast.Continue()
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield ast.Return(ast.Constant(None))
    elif isinstance(node, ast.If | ast.While):
        yield type(node)(_negated(node.test), node.body, node.orelse)
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield ast.comprehension(node.target, node.iter, [_negated(node.ifs[0]), *node.ifs[1:]], node.is_async)


def _may_go(node: ast.AST) -> bool:
    """Whether the program still runs without this statement: no name would be missing."""
    kept = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute | ast.Subscript)
    return kept or isinstance(node, SIMPLE)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _edited_expressions(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare():
            yield from _compared(node)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not(), operand):
            yield operand
        case ast.BinOp(left, operator, right) if type(operator) in BINARY:
            yield ast.BinOp(left, BINARY[type(operator)](), right)
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(_negated(test), body, orelse)
        case ast.Call(ast.Name(name), arguments, keywords) if name in OPPOSITES:
            yield ast.Call(ast.Name(OPPOSITES[name], ast.Load()), arguments, keywords)
        case ast.Constant(value):
            yield from (ast.Constant(other) for other in _other_values(value))


def _compared(node: ast.Compare) -> Iterator[ast.expr]:
    for position, operator in enumerate(node.ops):
        other = COMPARE[type(operator)]()
        yield ast.Compare(node.left, [*node.ops[:position], other, *node.ops[position + 1 :]], node.comparators)


def _other_values(value: object) -> Iterator[object]:
    match value:
        case bool():
            yield not value
        case int() | float():
            yield value + 1
        case str() if " " not in value and "\u00a0" not in value:
            yield f"XX{value}"
        case bytes():
            yield b"XX" + value
