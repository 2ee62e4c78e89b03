"""A file that an operator asked for: it appears under its name when it is whole, and replaces no other by mistake."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from retrobus.files.folder import new_file


@contextmanager
def whole_file(path: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """The file for the block to fill; only its owner reads it. After an error there is no file, or the old one.

    FileExistsError, unless it may `replace` a file of this name. The folder stays as it is.
    """
    folder = path.absolute().parent
    if not replace and os.path.lexists(path):
        raise FileExistsError(str(path))
    temporary = folder / f".{path.name}.{secrets.token_hex(6)}.tmp"
    try:
        with new_file(folder, temporary.name) as file:
            yield file
        if replace:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)  # fails if a file of this name has appeared meanwhile
    except OSError as error:
        if error.filename == str(temporary):
            error.filename = str(path)  # the name that the operator knows
        raise
    finally:
        temporary.unlink(missing_ok=True)
