"""The shell blocks of README and of the runbook, and what of them a trial cannot run."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"

LEFT_OUT = {
    "certbot certonly": "a certificate needs a public name",
    "rsync --archive root@": "it names another machine",
    "make run": "the trial runs it in the background",
    "DATABASE_STATEMENT_CACHE=0": "a line of /etc/retrobus.env, for a pooler",
}
"""The beginning of a line, and why the trial does not run its block."""


class Block(NamedTuple):
    """A block of commands; `section` is the heading above it."""

    section: str
    text: str


def blocks(chapter: str) -> Iterator[Block]:
    """The shell blocks of a chapter of README, in order."""
    text = README.read_text(encoding="utf-8").partition(f"\n## {chapter}\n")[2]
    text = re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0]
    section = chapter
    for heading, block in re.findall(r"^### ([^\n]+)$|^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        section = heading or section
        if block and not left_out(block):
            yield Block(section, block)


def left_out(block: str) -> bool:
    """Whether a line of the block cannot run in a trial."""
    return any(line.startswith(beginning) for line in block.splitlines() for beginning in LEFT_OUT)
