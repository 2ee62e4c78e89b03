"""The content that each ETag stood for."""

from collections import defaultdict
from collections.abc import Hashable
from threading import Lock


class Tags:
    """An ETag must stand for one state of one row: else 304 and If-Match are wrong."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._meanings: dict[str, dict[Hashable, set[Hashable]]] = defaultdict(lambda: defaultdict(set))

    def seen(self, tag: str, row: Hashable, content: Hashable) -> bool:
        """An answer showed this row with this tag and content; whether the tag stood for another content before."""
        with self._lock:
            contents = self._meanings[tag][row]
            contents.add(content)
            return len(contents) > 1

    def repeated(self) -> int:
        """Tags that stood for two states, of one row or of two."""
        return sum(sum(map(len, rows.values())) > 1 for rows in self._meanings.values())

    def lies(self) -> int:
        """Tags that stood for two states of one row."""
        return sum(any(len(contents) > 1 for contents in rows.values()) for rows in self._meanings.values())
