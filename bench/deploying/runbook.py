"""docs/operations.md, line by line, with the answers that an operator types: the lists are those of its test."""

import sys
from collections.abc import Callable
from functools import partial

from deploying.pages import ROOT
from deploying.shell import Shell, newest_backup

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/support")]

import test_operations as page

Sql = Callable[[str], str]


def follow(shell: Shell, backups: str, sql: Sql) -> None:
    """Runs the whole page; `backups` is the folder of backups, `sql` runs a block of SQL as the operator."""
    sql(page.SACHA)
    folder = shell.machine.folder / backups.lstrip("/")
    for language, block in page.blocks():
        run = sql if language == "sql" else partial(_each_line, shell, folder)
        run(block)


def _each_line(shell: Shell, folder: object, block: str) -> None:
    for line in block.splitlines():
        if line not in page.LEFT_OUT:
            here = line.replace(page.EXAMPLE, newest_backup(folder) or page.EXAMPLE)
            shell.run(here, page.TYPED.get(line, ""))
