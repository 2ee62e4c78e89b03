"""French for what is counted: the one place that decides between singular and plural."""

from math import ceil

WRITES = "écriture acquittée", "écritures acquittées"


def plural(count: int, one: str, many: str = "") -> str:
    """The count with its words: `0 ligne`, `1 ligne`, `2 lignes`. French has the plural from two on.

    `many` is the plural if more changes than an `s` at the end: `plural(2, "ligne lue", "lignes lues")`.
    """
    return f"{count} {one if abs(count) < 2 else many or one + 's'}"


def grouped(number: int) -> str:
    """A large number as French writes it, with thin spaces that do not break: `1 048 576`."""
    return f"{number:,}".replace(",", "\u202f")


def decimal(number: float, *, signed: bool = False) -> str:
    """A number with one decimal and a comma: `3,6`. What rounds to zero is `0,0`, never `-0,0`."""
    return f"{number:{'+' if signed else ''}z.1f}".replace(".", ",")


def duration(seconds: float) -> str:
    """How long to wait, rounded up: `45 secondes`, `12 minutes`."""
    if seconds <= 90:
        return plural(max(ceil(seconds), 1), "seconde")
    return plural(ceil(seconds / 60), "minute")
