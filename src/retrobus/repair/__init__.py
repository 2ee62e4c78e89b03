"""Finds and mends what came into the tables past the triggers, so that rows are again what clients are served."""
