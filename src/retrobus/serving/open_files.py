"""The limit of open files, which is also the limit of connections."""

from contextlib import suppress
from resource import RLIMIT_NOFILE, getrlimit, setrlimit


def raise_limit() -> None:
    """Raises the soft limit of this process to the hard one, which an administrator sets.

    Shells and containers often start programs with a soft limit of 1,024 for the sake of old ones. With it the service
    would leave the 1,024th connection waiting without an answer.
    """
    hard = getrlimit(RLIMIT_NOFILE)[1]
    with suppress(OSError, ValueError):  # a system may have a lower limit that it does not tell
        setrlimit(RLIMIT_NOFILE, (hard, hard))
