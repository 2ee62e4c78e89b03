"""Tells the operator an error of a file in one sentence: the file, its owner, the reason and the cure."""

import errno
import os
import pwd
import socket
import stat
from pathlib import Path

REASONS = {
    errno.EROFS: ("système de fichiers en lecture seule", "choisissez un dossier où ce compte écrit (BACKUPS_DIR)"),
    errno.ENOSPC: ("plus de place sur le disque", "libérez de la place, puis recommencez"),
    errno.EDQUOT: ("quota de disque atteint", "libérez de la place, puis recommencez"),
    errno.EFBIG: ("fichier trop grand pour ce disque ou pour la limite du compte", "voyez ulimit -f"),
    errno.ELOOP: ("c'est un lien, et les liens ne sont pas suivis", "mettez le vrai fichier à sa place"),
    errno.EISDIR: ("c'est un dossier, un fichier est attendu", "retirez-le"),
    errno.ENOTDIR: ("ce n'est pas un dossier", "donnez le chemin d'un dossier"),
    errno.ENOENT: ("n'existe pas", "vérifiez le chemin"),
    errno.EEXIST: ("existe déjà", "choisissez un autre nom"),
    errno.EIO: ("le disque ne répond pas bien", "vérifiez le disque avant de continuer"),
    errno.EMFILE: ("trop de fichiers ouverts", "augmentez la limite (ulimit -n)"),
    errno.ESTALE: ("a été remplacé pendant que le service écrivait", "arrêtez le service, puis retrobus resync"),
    errno.EBUSY: ("occupé par un autre programme ou par un montage", "libérez-le"),
    errno.EPIPE: ("la sortie est fermée", "recommencez sans fermer la sortie"),
}
NETWORK = frozenset({errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ENETDOWN, errno.ENETRESET})
"""Errors of the network that have no class of their own in Python."""

RIGHTS = frozenset({errno.EACCES, errno.EPERM})


def is_of_a_file(error: BaseException) -> bool:
    """Whether this is an error of a file or a folder, not of a connection."""
    if isinstance(error, BrokenPipeError):
        return True
    if not isinstance(error, OSError) or isinstance(error, ConnectionError | TimeoutError | socket.gaierror):
        return False
    return error.errno is not None and error.errno not in NETWORK


def told(error: OSError, where: Path | None = None) -> str:
    """The sentence; `where` is the file or folder, for an error that does not say it."""
    path = _path_of(error, where)
    named = "" if path is None else f"{path} : "
    if error.errno in RIGHTS:
        return f"{named}{_no_right(path)}"
    reason, cure = REASONS.get(error.errno or 0, (error.strerror or str(error), "vérifiez ce fichier"))
    return f"{named}{reason} ; {cure}"


def why(error: BaseException, where: Path | None = None) -> str:
    """The sentence of a file's error; of any other error its class alone, for its text may hold personal data."""
    return told(error, where) if isinstance(error, OSError) and is_of_a_file(error) else type(error).__name__


def _path_of(error: OSError, where: Path | None) -> Path | None:
    """The whole path; an error inside an opened folder names only the last part of it."""
    if not isinstance(error.filename, str | bytes):  # a number is a file that was opened already
        return None if where is None else where.absolute()
    path = Path(os.fsdecode(error.filename))
    whole = path if where is None or where.name == path.name or os.path.lexists(path) else where / path
    return whole.absolute()


def _no_right(path: Path | None) -> str:
    """Who owns the file that this account may not use, or the nearest folder above it that is closed to the account.

    For example: a file of ours in a read-only folder cannot be removed, and it is the folder that must be opened.
    """
    me = _name(os.geteuid())
    for place in () if path is None else (path, *path.parents):
        try:
            found = place.lstat()
        except OSError:
            continue
        if os.access(place, os.R_OK | os.W_OK | (os.X_OK if stat.S_ISDIR(found.st_mode) else 0)):
            continue
        owner = _name(found.st_uid)
        cure = f"prenez ce compte, ou : chown -R {me} {place}" if owner != me else f"chmod u+rwX {place}"
        return f"le compte {me} n'en a pas le droit, le propriétaire de {place} est {owner} ; {cure}"
    return f"le compte {me} n'en a pas le droit ; vérifiez le propriétaire"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
