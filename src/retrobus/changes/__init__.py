"""What changed in PostgreSQL since a moment, deletions included: for the mirror and for followers over HTTP."""
