"""The RétroBus API: vehicles, events and members of a vintage bus association."""

__version__ = "0.1.0"
