"""Drafts the migration that takes a database from the newest revision to what the tables of the code say."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, NamedTuple

from alembic.autogenerate import produce_migrations
from alembic.operations import Operations, ops
from alembic.runtime.migration import MigrationContext

from retrobus.database import rules
from retrobus.model.resources import ALL
from retrobus.model.tables import metadata
from retrobus.model.wire import pieces_sql
from retrobus.repair import parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

CHECKS = """SELECT conrelid::regclass::text, conname FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype = 'c'"""
FUNCTIONS = """SELECT proname, prosrc, pg_get_functiondef(oid) FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND prokind = 'f'"""
TRIGGERS = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"

WRITE_AGAIN = (
    "SELECT set_config('retrobus.stamps', 'given', true)",
    """-- The trigger writes version and JSON of every row again; the setting keeps updated_at and updated_by.
UPDATE {table} SET version = 0""",
    "SELECT set_config('retrobus.stamps', '', true)",
)

FILE = '''"""{title}."""

from alembic import op

revision = "{revision}"
down_revision = "{before}"
compatible = {compatible}
"""Whether code that expects the revision before works with this one too."""

UPGRADE = [{upgrade}]

DOWNGRADE = [{downgrade}]


def upgrade() -> None:
    """{title}."""
    for statement in UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Takes it back."""
    for statement in DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)
'''


class Difference(NamedTuple):
    """One difference: the statements that remove it and bring it back, and what a person must look at."""

    upgrade: tuple[str, ...]
    downgrade: tuple[str, ...]
    remark: str = ""


def differences(connection: Connection) -> list[Difference]:
    """What the model has and the schema of this database, at the newest revision, has not; nothing is changed.

    For example, after `prose("sponsor")` was added to the table of events: ADD COLUMN, the new text of `event_stamp`
    and `event_rules`, and the UPDATE by which the rows that are there get the field in their JSON.
    The rules of values are functions (`retrobus.database.rules`): a changed rule is a changed function.
    """
    return [*_tables(connection), *_functions(connection), *_checks(connection), *_triggers(connection)]


def _tables(connection: Connection) -> Iterator[Difference]:
    """Tables, columns and indexes, as Alembic compares them."""
    options = {"compare_type": True, "compare_server_default": True}
    found = produce_migrations(MigrationContext.configure(connection, opts=options), metadata)
    for operation in _leaves(found.upgrade_ops):
        yield Difference((_sql(connection, operation),), (_sql(connection, operation.reverse()),), _remark(operation))


def _leaves(container: ops.OpContainer | None) -> Iterator[ops.MigrateOperation]:
    """The operations of a draft, out of the groups that Alembic makes by table."""
    for operation in container.ops if container else ():
        if isinstance(operation, ops.ModifyTableOps):
            yield from _leaves(operation)
        else:
            yield operation


def _sql(connection: Connection, operation: ops.MigrateOperation) -> str:
    """The statement of an operation: a migration must not change when the types of the model do."""
    written = StringIO()
    context = MigrationContext.configure(
        dialect=connection.dialect, opts={"as_sql": True, "output_buffer": written, "target_metadata": metadata}
    )
    Operations(context).invoke(operation)
    return written.getvalue().strip().removesuffix(";")


def _remark(operation: ops.MigrateOperation) -> str:
    """What a person must decide; nothing for a column without which older code goes on writing rows."""
    if isinstance(operation, ops.AddColumnOp):
        column = operation.column
        if column.nullable or column.server_default is not None or column.computed is not None:
            return ""
        return f"colonne {column.name} : NOT NULL sans défaut, impossible tant que la table a des lignes"
    if isinstance(operation, ops.CreateTableOp):
        return f"table {operation.table_name} : ses droits dans retrobus/database/rights.py"
    return f"opération à relire : {' '.join(str(part) for part in operation.to_diff_tuple()[:4])}"


def _checks(connection: Connection) -> Iterator[Difference]:
    """The CHECK of each table, by its name."""
    there = {name: table for table, name in connection.exec_driver_sql(CHECKS)}
    for name, statement in rules.CHECKS.items():
        if name not in there:
            table = name.removesuffix("_rules_check")
            yield Difference((statement,), (f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}",))
    for name in sorted(there.keys() - rules.CHECKS.keys()):
        remark = f"règle {name} : écrivez dans DOWNGRADE comment la remettre"
        yield Difference((f"ALTER TABLE {there[name]} DROP CONSTRAINT IF EXISTS {name}",), (), remark)


def _functions(connection: Connection) -> Iterator[Difference]:
    """Functions that are missing or have another text; a row whose JSON they write otherwise is written again."""
    there = {name: (body, whole) for name, body, whole in connection.exec_driver_sql(FUNCTIONS)}
    again = {f"{resource.table.name}_stamp": resource for resource in ALL}
    for name, part in parts.FUNCTIONS.items():
        body, whole = there.get(name, ("", f"DROP FUNCTION public.{name}"))
        resource = again.get(name)
        changed = resource is not None and pieces_sql(resource) not in body
        rows = tuple(text.format(table=resource.table.name) for text in WRITE_AGAIN) if resource and changed else ()
        if body != part.told:
            yield Difference((part.statement, *rows), (whole.strip(), *rows))


def _triggers(connection: Connection) -> Iterator[Difference]:
    there = {name for (name,) in connection.exec_driver_sql(TRIGGERS)}
    for name, part in parts.TRIGGERS.items():
        if name not in there:
            yield Difference((part.statement,), (f"DROP TRIGGER {name} ON {part.told}",))


def drafted(found: list[Difference], subject: str, revision: str, before: str) -> str:
    """The text of the revision file, in the form of the others."""
    back = [statement for one in reversed(found) for statement in one.downgrade]
    return FILE.format(
        title=subject[:1].upper() + subject[1:],
        revision=revision,
        before=before,
        compatible=bool(found) and not any(one.remark for one in found),
        upgrade=_listed([statement for one in found for statement in one.upgrade]),
        downgrade=_listed(back),
    )


def _listed(statements: list[str]) -> str:
    return "".join(f"\n    {_quoted(statement)}," for statement in statements) + ("\n" if statements else "")


def _quoted(text: str) -> str:
    """A literal in the form that the formatter leaves alone."""
    raw = "r" if "\\" in text else ""
    if "\n" in text or ('"' in text and "'" in text) or raw:
        return f'{raw}"""\n{text}\n    """'
    return repr(text) if '"' in text else f'"{text}"'
