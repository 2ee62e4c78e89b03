"""The content that each ETag stood for."""

from collections import defaultdict
from collections.abc import Hashable


class Tags:
    """An ETag must stand for one state of one row: else 304 and If-Match are wrong."""

    def __init__(self) -> None:
        self._meanings: dict[str, dict[Hashable, set[Hashable]]] = defaultdict(lambda: defaultdict(set))

    def seen(self, tag: str, row: Hashable, content: Hashable) -> bool:
        """An answer showed this row with this tag and content; whether the tag stood for another content before."""
        contents = self._meanings[tag][row]
        contents.add(content)
        return len(contents) > 1
