"""Everything that exists only because a toggle is on: memory, journal, replay, snapshot."""
