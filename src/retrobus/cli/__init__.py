"""The command line: one module per group of commands."""

from retrobus.cli.program import main

__all__ = ["main"]
