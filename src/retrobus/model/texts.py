"""The rules of texts that clients send: which characters they may hold, and what stands for nothing.

Each rule takes a value of any type and leaves what is no text to the next check; ValueError says what is wrong.
"""

import re
from unicodedata import name as name_of
from unicodedata import normalize

from retrobus.model.limits import URL
from retrobus.model.patterns import PARC_NUMBER_MAX

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)
"""Soft hyphen, zero widths, bidirectional marks and fillers: two texts would look the same and be different."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


def _text(value: object, forbidden: re.Pattern[str]) -> object:
    if not isinstance(value, str):
        return value
    value = normalize("NFC", value)
    if forbidden.search(value):
        raise ValueError("sans caractère de contrôle")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("texte Unicode valide attendu") from None
    return value


def one_line(value: object) -> object:
    """Text in NFC without any control character."""
    return _text(value, _CONTROL)


def lines(value: object) -> object:
    """Text in NFC whose only control characters are tabs and line ends."""
    return _text(value, _CONTROL_BUT_LINES)


def visible(value: object) -> object:
    """Text without a character that readers cannot see; the message names the first one."""
    found = _INVISIBLE.search(value) if isinstance(value, str) else None
    if found is not None:
        letter = found.group()
        raise ValueError(f"caractère invisible refusé : U+{ord(letter):04X} ({name_of(letter, 'sans nom')})")
    return value


def as_typed(value: str) -> str:
    """A present password exactly as typed: in NFC, one that was chosen in another form would no longer match."""
    if _CONTROL.search(value):
        raise ValueError("sans caractère de contrôle")
    return value


def trimmed(value: object) -> object:
    """Text without the spaces around it."""
    return value.strip() if isinstance(value, str) else value


def lowered(value: object) -> object:
    """Text in small letters."""
    return value.lower() if isinstance(value, str) else value


def empty_is_null(value: object) -> object:
    """None for a text of spaces only: forms send "" for a field that the person left empty."""
    return None if isinstance(value, str) and not value.strip() else value


def parc_text(value: object) -> object:
    """A parc that a client sends as a number, as text: `920` and `920.0` are "920"."""
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > PARC_NUMBER_MAX:
        return value
    return str(int(value)) if value == int(value) else value


def url(value: str) -> str:
    """An http or https address, or one without a scheme."""
    scheme = _SCHEME.match(value)
    if scheme and scheme.group().lower() not in {"http:", "https:"}:
        raise ValueError("adresse http ou https attendue")
    return value


def no_dots(value: str) -> str:
    """A key that can stand in a path: clients drop `.` and `..` from paths before they send them."""
    if value in {".", ".."}:
        raise ValueError("ni « . » ni « .. » : une adresse ne peut pas les nommer")
    return value


def image(value: str) -> str:
    """The address of an image, or the image itself as a data URL of any length."""
    if value.lower().startswith("data:"):
        if not value.startswith("data:image/"):
            raise ValueError("image attendue : data:image/…")
        return value
    if len(value) > URL:
        raise ValueError(f"au plus {URL} caractères (une image en data:image/… peut être plus longue)")
    return url(value)
