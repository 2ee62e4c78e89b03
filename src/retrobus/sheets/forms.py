"""Makes the cell of a spreadsheet into what the API takes from a client: French and ISO forms, then the API's rules."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import Boolean, Column, Float, Integer, Numeric
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP

from retrobus.sheets.grids import Cell, Unreadable

FLAGS = dict.fromkeys(("oui", "vrai", "true", "1", "o", "yes"), True) | dict.fromkeys(
    ("non", "faux", "false", "0", "n", "no"), False
)
_SPACES = re.compile("[ \u00a0\u202f\u2009]")
_NUMBER = re.compile(r"-?(\d+|\d{1,3}(?:[ \u00a0\u202f\u2009]\d{3})+)(?:[.,](\d+))?", re.ASCII)
_EXPONENT = re.compile(r"-?\d+(?:[.,]\d+)?[eE][+-]?\d{1,3}", re.ASCII)
_DAY = r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})"
_FRENCH = re.compile(rf"{_DAY}(?:(?:,? +| à )(\d{{1,2}})[:h](\d{{2}})(?::(\d{{2}})(?:[.,](\d{{1,3}}))?)?)?", re.ASCII)
_SHORT_YEAR = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2}(?!\d)", re.ASCII)
_ISO_WITHOUT_ZONE = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2})[:hH](\d{2})(?::\d{2}(?:\.0+)?)?", re.ASCII)


def value_of(read: Callable[[Cell], Any], cell: Cell) -> Any:
    """The value of a cell as the API's rules read it; ValueError says in French what was expected.

    What no form here fits is given on as it is: the rule of the field refuses it in its own words.
    """
    if isinstance(cell, Unreadable):
        raise ValueError(cell.reason)
    return read(cell)


def reader(column: Column[Any]) -> Callable[[Cell], Any]:
    """How the cells of a column are read."""
    kinds: tuple[tuple[Any, Callable[[Cell], Any]], ...] = (
        (Boolean, flag),
        (TIMESTAMP, moment),
        ((Numeric, Float, Integer), number),
        (JSONB, lambda cell: cell),
    )
    if column.name == "time":
        return clock
    return next((read for kind, read in kinds if isinstance(column.type, kind)), text)


def flag(cell: Cell) -> bool:
    """True or false from `oui`, `non`, `vrai`, `faux`, `true`, `false`, 1 and 0."""
    said = str(int(cell)) if isinstance(cell, int | float) and cell in {0, 1} else str(cell).strip().casefold()
    if said not in FLAGS:
        raise ValueError("oui ou non attendu")
    return FLAGS[said]


def number(cell: Cell) -> Any:
    """A number with a decimal comma or point, spaces between thousands, and perhaps a sign of euro or per cent."""
    if not isinstance(cell, str):
        return cell
    said = cell.strip().removesuffix("€").removesuffix("%").strip()
    if _NUMBER.fullmatch(said) or _EXPONENT.fullmatch(said):
        return _SPACES.sub("", said).replace(",", ".")
    raise ValueError("nombre attendu, comme 1234,50")


def moment(cell: Cell) -> str:
    """An instant as the API takes it: a day alone stays a day; a time without a zone is UTC, as exports write it."""
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() and cell.tzinfo is None else _here(cell)
    if isinstance(cell, date):
        return cell.isoformat()
    said = " ".join(str(cell).split())
    french = _FRENCH.fullmatch(said)
    if french:
        return _french(french)
    if _SHORT_YEAR.match(said):
        raise ValueError("année sur quatre chiffres attendue, comme 31/12/2026")
    if _ISO_WITHOUT_ZONE.fullmatch(said):
        return _made(lambda: _here(datetime.fromisoformat(said)))
    return said


def _french(found: re.Match[str]) -> str:
    day, month, year = (int(found[place]) for place in (1, 2, 3))
    if found[4] is None:
        return _made(lambda: date(year, month, day).isoformat())
    hour, minute, second = (int(found[place] or 0) for place in (4, 5, 6))
    micro = int((found[7] or "0").ljust(3, "0")) * 1000
    return _made(lambda: _here(datetime(year, month, day, hour, minute, second, micro)))  # noqa: DTZ001 - UTC, see _here


def _made(make: Callable[[], str]) -> str:
    try:
        return make()
    except (ValueError, OverflowError):
        raise ValueError("cette date n'existe pas ; JJ/MM/AAAA ou AAAA-MM-JJ attendu") from None


def _here(at: datetime) -> str:
    known = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    return f"{known.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def clock(cell: Cell) -> Any:
    """A time of the day as `14:30`, from `14:30:00`, `14h30`, `9:30` and a workbook's time."""
    if isinstance(cell, time | datetime):
        return f"{cell:%H:%M}"
    found = _CLOCK.fullmatch(str(cell).strip())
    return f"{int(found[1]):02d}:{found[2]}" if found else str(cell).strip()


def text(cell: Cell) -> Any:
    """A text; a workbook's number or boolean as a person reads it. A date there cannot be known as it was typed."""
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 10**15:
        return str(int(cell))
    if isinstance(cell, int | float):
        return str(cell)
    if isinstance(cell, time):
        return f"{cell:%H:%M:%S}"
    if isinstance(cell, date):
        raise ValueError("texte attendu, date trouvée : donnez à la cellule le format Texte")
    return cell
