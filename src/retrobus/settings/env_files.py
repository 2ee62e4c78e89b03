"""The files of settings: refused with one sentence where the library would pass over them or end with a trace."""

import os
from collections.abc import Iterable
from pathlib import Path

from pydantic_settings import BaseSettings, DotEnvSettingsSource

from retrobus.files.error_texts import told

USUAL = (".env", ".env.local")
"""Read from the working folder, if they are there and no other files are named."""

VARIABLE = "RETROBUS_ENV_FILE"
"""Names the files that are read instead, separated by colons. `retrobus --env-file` sets it; child processes see it."""

LARGEST_ENV = 1 << 20
"""Bytes beyond which a file of settings is something else."""


class UnreadableFile(ValueError):
    """A file of settings that cannot be read; the text names it, the reason and the cure."""


def env_files() -> tuple[str, ...]:
    """The files of settings, in the order in which they are read: a value in a later one wins."""
    return tuple(filter(None, os.environ.get(VARIABLE, "").split(os.pathsep))) or USUAL


def use_env_files(paths: Iterable[Path]) -> None:
    """Makes this program and its children read these files instead of the usual ones.

    Their other variables (PGSSLROOTCERT, TZ) go into the environment, so that a command behaves like a service that
    systemd started with the same file. What the environment holds already wins. UnreadableFile if one cannot be read.
    """
    named = [str(path.absolute()) for path in paths]
    if named:
        os.environ[VARIABLE] = os.pathsep.join(named)
    if VARIABLE not in os.environ:
        return
    check_env_files()
    found = DotEnvSettingsSource(BaseSettings, env_files(), "utf-8", case_sensitive=True)
    for name, value in found.env_vars.items():
        if value is not None:
            os.environ.setdefault(name, value)


def check_env_files() -> None:
    """UnreadableFile for the first file of settings that cannot be read; only the usual ones may be absent."""
    for path in map(Path, env_files()):
        if str(path) not in USUAL or os.path.lexists(path):
            _check(path)


def _check(path: Path) -> None:
    try:
        path.lstat()
        if not path.is_file():
            raise UnreadableFile(f"{path} : ni fichier ni lien vers un fichier ; corrigez-le ou retirez-le")
        if path.stat().st_size > LARGEST_ENV:
            raise UnreadableFile(f"{path} : plus de {LARGEST_ENV} octets ; ce n'est pas un fichier de réglages")
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UnreadableFile(f"{path} : ligne {line}, pas en UTF-8 ; enregistrez-le en UTF-8") from None
    except FileNotFoundError:
        raise UnreadableFile(f"{path} : absent ; corrigez le chemin, ou créez le fichier") from None
    except OSError as error:
        raise UnreadableFile(told(error, path)) from None
