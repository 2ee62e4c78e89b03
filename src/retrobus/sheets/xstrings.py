"""Texts in the XML of a workbook: what XML does not give back is written as Excel does it, `_x000D_` for example.

A text that looks like that itself has its underscore written so, too: `_x0041_` becomes `_x005F_x0041_`.
"""

import re

_CHARACTER = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_WRITTEN = re.compile(r"_x(00[01][0-9A-Fa-f]|[Ff]{3}[EeFf]|005[Ff](?=_x[0-9A-Fa-f]{4}_))_")
"""What must be written so. LibreOffice writes a text such as `_x0041_` as it is; that is no `A` then."""


def escaped(text: str) -> str:
    """The text as a workbook holds it."""
    return _CHARACTER.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def unescaped(text: str) -> str:
    """The text of a cell; the library openpyxl leaves this to its callers."""
    return _WRITTEN.sub(lambda found: chr(int(found[1], 16)), text)
