"""Rows of one instant in a file without a name, from which a slow reader takes them while PostgreSQL is free again."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from tempfile import SpooledTemporaryFile

from retrobus.store.errors import NoRoom, TooManyExports

IN_MEMORY = 1 << 20
"""Bytes up to which there is no file: the rows of most associations never touch the disk."""

WRITTEN = 1 << 18
"""Bytes that are written at a time."""

BATCH = 5
"""Rows that are read back at a time: writing them as CSV takes half a millisecond, for which other requests wait."""


MOST = 4
"""Files that one process prepares and sends at a time: each may hold all rows of a table on the disk."""


class Exports:
    """Counts the files that are being prepared and sent."""

    def __init__(self) -> None:
        self._open = 0
        self.turn = asyncio.Lock()
        """Is held while some rows are written and then for one turn of the loop: other requests wait for one file."""

    def enter(self) -> None:
        """Takes a place, which `leave` gives back; TooManyExports if there is none."""
        if self._open >= MOST:
            raise TooManyExports
        self._open += 1

    def leave(self) -> None:
        """Gives a place back."""
        self._open -= 1


class Spool:
    """A sink that keeps the rows until it is closed. The system frees the file even if the process is killed.

    Each row is a line: its JSON has no line end of its own. NoRoom if the disk does not take the rows.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY, prefix="retrobus-")  # noqa: SIM115 - `close` closes it
        self._waiting: list[bytes] = []
        self._size = 0

    async def begin(self) -> None:
        """Forgets what was taken."""
        self._waiting, self._size = [], 0
        with _room():
            self._file.seek(0)  # writes what is still on its way
            self._file.truncate()

    async def add(self, documents: Sequence[bytes]) -> None:
        """Takes the next rows."""
        self._waiting.extend(documents)
        self._size += sum(map(len, documents))
        if self._size > WRITTEN:
            await self._write()

    async def end(self) -> None:
        """Makes what was taken ready to be read."""
        await self._write()
        with _room():
            self._file.seek(0)  # writes what is still on its way

    async def _write(self) -> None:
        text = b"".join(document + b"\n" for document in self._waiting)
        self._waiting, self._size = [], 0
        with _room():
            await asyncio.to_thread(self._file.write, text)

    def rows(self) -> Iterator[list[bytes]]:
        """The rows from the first one, some at a time; each only once."""
        while batch := [line[:-1] for line in (self._file.readline() for _ in range(BATCH)) if line]:
            yield batch

    def close(self) -> None:
        """Frees the file."""
        with suppress(OSError):  # a full disk refuses the last bytes once more, and the file is gone all the same
            self._file.close()


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoRoom from error
