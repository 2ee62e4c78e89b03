"""Files that are whole or absent, private to their owner, and never reached through a link."""

import errno
import fcntl
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

_LEFTOVER = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}\.tmp")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# A FIFO would block the open for ever without O_NONBLOCK.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Refused(Exception):
    """A file that we do not read: a link, no plain file, or larger than allowed; the text names it and the cure."""


class Locked(Exception):
    """Another process holds the lock."""


def write_atomically(folder: Path, name: str, chunks: Iterable[bytes]) -> None:
    """Replaces the file. Promise: after any error or kill it holds either all old bytes or all new ones."""
    private_folder(folder)
    temporary = _temporary(name)
    try:
        with new_file(folder, temporary) as file:
            file.writelines(chunks)
        with _opened(folder) as place:
            os.rename(temporary, name, src_dir_fd=place, dst_dir_fd=place)
            os.fsync(place)
    except BaseException as error:
        if isinstance(error, OSError) and Path(str(error.filename)).name == temporary:
            error.filename = str(folder / name)  # the name that the operator knows
        (folder / temporary).unlink(missing_ok=True)
        raise


@contextmanager
def new_file(folder: Path, name: str) -> Iterator[BinaryIO]:
    """A new file for the block to fill: only its owner reads it, it is on the disk at the end; FileExistsError."""
    _check(name)
    descriptor = _made(folder, name, _NEW)
    with os.fdopen(descriptor, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _made(folder: Path, name: str, flags: int) -> int:
    """A file that may be new, opened in the folder without following a link; an error names its whole path."""
    with _opened(folder) as place:
        try:
            descriptor = os.open(name, flags, 0o600, dir_fd=place)
        except OSError as error:
            error.filename = str(folder / name)
            raise
    leave_to_owner(descriptor, folder)
    return descriptor


@contextmanager
def new_folder(folder: Path, name: str) -> Iterator[Path]:
    """A folder for the block to fill; it appears under its name with all its content, or not at all after an error.

    The caller calls `sync` for the folder around it: an error of `sync` comes when the new folder is already there.
    """
    _check(name)
    private_folder(folder)
    temporary = folder / _temporary(name)
    temporary.mkdir(mode=0o700)
    leave_to_owner(temporary, folder)
    try:
        yield temporary
        with _opened(temporary) as place:
            os.fsync(place)
        temporary.rename(folder / name)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def open_file(folder: Path, *names: str) -> BinaryIO:
    """A plain file, each name opened relative to the folder before it; Refused for a link or any other kind."""
    *steps, name = names
    with _opened(folder) as place:
        return _open_below(place, folder, steps, name)


def _open_below(place: int, folder: Path, steps: list[str], name: str) -> BinaryIO:
    if not steps:
        descriptor = _step(place, folder, name, _READ)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            os.close(descriptor)
            raise Refused(f"{(folder / name).absolute()} : {_nature(mode)}")
        return os.fdopen(descriptor, "rb")
    below = _step(place, folder, steps[0], _FOLDER | os.O_NOFOLLOW)
    try:
        return _open_below(below, folder / steps[0], steps[1:], name)
    finally:
        os.close(below)


def _step(place: int, folder: Path, name: str, flags: int) -> int:
    """One name opened in an opened folder; Refused if it is a link or not of the expected kind."""
    _check(name)
    try:
        return os.open(name, flags, dir_fd=place)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:
            found = _nature(os.stat(name, dir_fd=place, follow_symlinks=False).st_mode)
            raise Refused(f"{(folder / name).absolute()} : {found}") from None
        error.filename = str(folder / name)
        raise


def _nature(mode: int) -> str:
    """The kind of file that is there instead of the expected one, and the cure."""
    if stat.S_ISLNK(mode):
        return "c'est un lien, et les liens ne sont pas suivis ; mettez le vrai fichier à sa place"
    if stat.S_ISDIR(mode):
        return "c'est un dossier, un fichier est attendu ; retirez-le"
    if stat.S_ISREG(mode):
        return "c'est un fichier, un dossier est attendu ; retirez-le"
    return "ce n'est pas un fichier ordinaire ; retirez-le"


def read_capped(folder: Path, name: str, limit: int) -> bytes:
    """The whole file; Refused when it holds more than `limit` bytes, FileNotFoundError when there is none."""
    with open_file(folder, *name.split("/")) as file:
        size = os.fstat(file.fileno()).st_size  # asked first, so that a file of 3 GiB is not read into memory
        content = b"" if size > limit else file.read(limit + 1)
    if max(size, len(content)) > limit:
        path = (folder / name).absolute()
        raise Refused(f"{path} : {size} octets, {limit} au plus attendus ; ce n'est pas le bon fichier")
    return content


def private_folder(folder: Path) -> None:
    """Makes the folder if it is missing, and closes it to every account but its owner."""
    if not folder.exists():
        if folder.is_symlink():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder.resolve()))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        leave_to_owner(folder, folder.absolute().parent)
    found = folder.stat()
    if found.st_mode & 0o077 and found.st_uid == os.geteuid():
        folder.chmod(0o700)


@contextmanager
def locked(folder: Path, name: str, *, wait: bool = False) -> Iterator[None]:
    """Holds the lock file of this name until the block or the process ends; Locked if it is taken, without `wait`."""
    private_folder(folder)
    descriptor = _made(folder, name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _hold(descriptor, name, wait=wait)
        yield
    finally:
        os.close(descriptor)


def _hold(descriptor: int, name: str, *, wait: bool) -> None:
    """Takes the lock. A function of its own: a BlockingIOError of the block must not look like a taken lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError as error:
        raise Locked(name) from error


def leave_to_owner(new: int | Path, folder: Path) -> None:
    """Gives a file that root makes in a folder to the folder's owner.

    Otherwise a backup made once as root would keep the service, which is another account, from its own files.
    """
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.chown(new, owner.st_uid, owner.st_gid)


def sweep(folder: Path, pattern: str = "*") -> list[str]:
    """Removes the temporary files that killed writes of names like `pattern` left; call it under their lock."""
    swept = []
    for entry in sorted(path.name for path in folder.iterdir()) if folder.is_dir() else ():
        found = _LEFTOVER.fullmatch(entry)
        if found and fnmatchcase(found["name"], pattern):
            _remove(folder / entry)
            swept.append(entry)
    return swept


def discard(folder: Path, name: str) -> None:
    """Removes a file or folder: for other processes in one step; `sweep` removes the rest after a kill."""
    _check(name)
    temporary = folder / _temporary(name)
    (folder / name).rename(temporary)
    sync(folder)
    _remove(temporary)


def set_aside(folder: Path, name: str) -> str:
    """Renames a damaged file to `<name>.corrupt-<timestamp>` for the operator to look at; gives the new name."""
    _check(name)
    aside = f"{name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
    (folder / name).rename(folder / aside)
    sync(folder)
    return aside


def _temporary(name: str) -> str:
    return f".{name}.{secrets.token_hex(6)}.tmp"


def _check(name: str) -> None:
    if name in {"", ".", ".."} or "/" in name or "\x00" in name:
        raise Refused("nom de fichier attendu, sans chemin")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync(folder: Path) -> None:
    """Makes sure that every rename, new file and removal in the folder survives a power cut."""
    with _opened(folder) as place:
        os.fsync(place)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
