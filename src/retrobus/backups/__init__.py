"""Backups: what is kept on disk, how it is read back, and how it returns to Postgres."""
