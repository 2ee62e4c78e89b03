"""The `.env` files: refused with one sentence where the library would pass over them or end with a trace."""

import os
from pathlib import Path

from retrobus.files.error_texts import told

ENV_FILES = (".env", ".env.local")
LARGEST_ENV = 1 << 20
"""Bytes beyond which a `.env` file is something else."""


class UnreadableFile(ValueError):
    """A file of settings that cannot be read; the text names it, the reason and the cure."""


def check_env_files() -> None:
    """UnreadableFile for the first `.env` file that is there and cannot be read as one."""
    for path in map(Path, ENV_FILES):
        if not os.path.lexists(path):
            continue
        try:
            if not path.is_file():
                raise UnreadableFile(f"{path} : ni fichier ni lien vers un fichier ; corrigez-le ou retirez-le")
            if path.stat().st_size > LARGEST_ENV:
                raise UnreadableFile(f"{path} : plus de {LARGEST_ENV} octets ; ce n'est pas un fichier de réglages")
            path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise UnreadableFile(f"{path} : ligne {line}, pas en UTF-8 ; enregistrez-le en UTF-8") from None
        except OSError as error:
            raise UnreadableFile(told(error, path)) from None
