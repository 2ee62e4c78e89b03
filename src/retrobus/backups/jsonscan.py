"""A JSON file read piece by piece: memory depends on its largest value, never on its length."""

import codecs
import json
import math
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NoReturn

from retrobus.model.jsontext import too_deep

CHUNK, LARGEST_CHUNK = 1 << 16, 1 << 20
LARGEST_VALUE = 32 << 20
"""Characters of one value: a row with images as data URLs has a few millions."""

MANY_MARKS = 200_000
"""Brackets and commas of one large value: an image has none, and millions of empty lists would fill the memory."""

_SPACE = re.compile(r"[ \t\n\r]*")


class Damaged(ValueError):
    """Not JSON, cut off, or not what was announced; the text says what, without the content."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Damaged("clé en double dans un objet")
    return found


def _no_constant(_: str) -> NoReturn:
    raise Damaged("NaN et Infinity ne sont pas du JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise Damaged("nombre hors des limites")
    return number


def _integer(text: str) -> int:
    if len(text) > 300:
        raise Damaged("nombre hors des limites")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_constant, parse_float=_finite, parse_int=_integer
)


class JsonScan:
    """A cursor in a JSON file: `members` and `elements` go down a level, `value` takes the whole next value."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """The first character of what comes next; empty at the end of the file."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def members(self) -> Iterator[str]:
        """The names of the object that comes next; the caller takes each value before the next name."""
        self._take("{")
        separator = self.peek()
        while separator != "}":
            name = self.value()
            if not isinstance(name, str):
                raise Damaged("nom de champ attendu")
            self._take(":")
            yield name
            separator = self._separator("}")
        self._at += 1

    def elements(self) -> Iterator[Any]:
        """The values of the list that comes next, one at a time."""
        self._take("[")
        separator = self.peek()
        while separator != "]":
            yield self.value()
            separator = self._separator("]")
        self._at += 1

    def _separator(self, closing: str) -> str:
        found = self.peek()
        if found == ",":
            self._at += 1
            if self.peek() in {closing, ","}:
                raise Damaged("virgule en trop")
        elif found != closing:
            raise Damaged("fichier coupé ou mal formé")
        return found

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                value, end = None, None
            except RecursionError:
                raise Damaged("imbrication trop profonde") from None
            # A number that touches the end of what was read may go on.
            if end is not None and (end < len(self._text) or self._ended):
                if too_deep(value, self._text[self._at : end]):
                    raise Damaged("imbrication trop profonde")
                self._at = end
                return value
            if not self._more() and end is None:
                raise Damaged("fichier coupé ou mal formé")

    def end(self) -> None:
        """Nothing may follow."""
        if self.peek():
            raise Damaged("des octets suivent la fin du JSON")

    def _take(self, character: str) -> None:
        if self.peek() != character:
            raise Damaged("fichier coupé ou mal formé")
        self._at += 1

    def _more(self) -> bool:
        """Reads on; False at the end of the file."""
        if self._ended:
            return False
        pending = len(self._text) - self._at
        self._refuse_bombs(pending)
        read = self._file.read(min(max(CHUNK, pending), LARGEST_CHUNK))
        self._ended = not read
        try:
            self._text = self._text[self._at :] + self._decode.decode(read, self._ended)
        except UnicodeDecodeError:
            raise Damaged("texte qui n'est pas en UTF-8") from None
        self._at = 0
        return True

    def _refuse_bombs(self, pending: int) -> None:
        if pending > LARGEST_VALUE:
            raise Damaged("une valeur dépasse 32 Mio")
        marks = sum(self._text.count(mark, self._at) for mark in "[{,") if pending > LARGEST_CHUNK else 0
        if marks > MANY_MARKS:
            raise Damaged("une valeur contient trop d'éléments")
