"""The timelines of the write-ahead log that were seen, on disk: a restarted service recognises a former primary."""

import json
from dataclasses import dataclass
from pathlib import Path

from retrobus import logbook
from retrobus.database.server import Server, Timelines
from retrobus.files.folder import Refused, read_capped, set_aside, write_atomically

NAME = "timelines.json"
LIMIT = 65_536


@dataclass(slots=True)
class KeptTimelines(Timelines):
    """As `Timelines`, with a file that holds `{"<system identifier>": <timeline>}`."""

    folder: Path | None = None

    def note(self, server: Server) -> None:
        """Remembers the timeline of a primary; a higher one is on the disk before anything is done with it."""
        before = dict(self.highest)
        Timelines.note(self, server)
        if self.folder is not None and self.highest != before:
            try:
                write_atomically(self.folder, NAME, [json.dumps(self.highest).encode()])
            except OSError as error:
                logbook.timeline_not_kept(error.strerror or type(error).__name__)


def read_timelines(folder: Path) -> KeptTimelines:
    """What an earlier process saw; a damaged file is set aside and told."""
    kept = KeptTimelines(folder=folder)
    try:
        found = json.loads(read_capped(folder, NAME, LIMIT))
        kept.highest = {str(system): int(timeline) for system, timeline in found.items()}
    except FileNotFoundError:
        pass
    except (OSError, Refused, ValueError, TypeError, AttributeError):
        logbook.file_set_aside(NAME, set_aside(folder, NAME))
    return kept
