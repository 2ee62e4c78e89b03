"""Texts in cells: disarmed where a spreadsheet program would take them for something else, and restored by the import.

A text that begins like a formula gets an apostrophe in front, as OWASP advises: `=1+1` is written `'=1+1`, the phone
number `+33 6 12 34 56 78` is written `'+33 6 12 34 56 78`. So that this can be undone, a text that begins with an
apostrophe gets one more: `'tis` is written `''tis`. `restored` takes exactly that one away again.
"""

import re

KEPT = "(inchangé)"
"""The cell of a value that a sheet does not hold: an image in a data URL, or a text too long for the program.

The import leaves such a value as it is. An empty cell of an image means the same.
"""

_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""The beginning of a formula; some programs pass over spaces before it, and take full-width signs for plain ones."""

_PLAIN = re.compile(r"0|[1-9]\d{0,14}")
"""Digits that a spreadsheet program may take for a number: it writes the same characters back."""

_MONTHS = (
    r"(janv(ier)?|f[ée]v(r(ier)?)?|mars|avr(il)?|mai|juin|juil(let)?|ao[ûu]t|sept(embre)?|oct(obre)?|nov(embre)?|"
    r"d[ée]c(embre)?)\.?"
)
_CHANGED = re.compile(
    rf"(?=.*\d)[\d\s.,:/%€$£e()+-]+([ap]m)?|(\d{{1,2}}(er)?[\s./-]+)?{_MONTHS}[\s./-]+\d{{1,4}}|\d{{1,2}}(er)?[\s./-]+{_MONTHS}|"
    r"vrai|faux|true|false",
    re.IGNORECASE,
)
"""What a French spreadsheet program takes for a number, a date or a truth value, and then writes in its own way.

For example the postal code `01000` would come back as 1000, the parc `3-12` as a date.
"""


def disarmed(text: str) -> str:
    """The cell of a text, for programs that take what begins like a formula for one."""
    return f"'{text}" if _is_reserved(text) or _FORMULA.match(text) else text


def protected(text: str) -> str:
    """The cell of a text, for programs that also turn into numbers and dates what looks like them."""
    return f"'{text}" if _is_reserved(text) or _would_change(text) else text


def typed(text: str) -> str:
    """The cell of a text in a file whose cells say themselves that they are texts."""
    return f"'{text}" if restored(text) != text or text == KEPT else text


def restored(cell: str) -> str:
    """The text of a cell: the opposite of `disarmed`, `protected` and `typed`.

    An apostrophe that a person typed before a word stays.
    """
    if not cell.startswith("'"):
        return cell
    rest = cell[1:]
    return rest if not rest or _is_reserved(rest) or _would_change(rest) else cell


def _is_reserved(text: str) -> bool:
    """Whether a cell with this text would mean something else to `restored` or to the import."""
    return text.startswith("'") or text == KEPT


def _would_change(text: str) -> bool:
    if _FORMULA.match(text):
        return True
    return bool(_CHANGED.fullmatch(text)) and not _PLAIN.fullmatch(text)
