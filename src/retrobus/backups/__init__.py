"""Backups: what is kept on disk, how it is read back, and how it returns to Postgres."""


class BadBackup(ValueError):
    """A backup that cannot be used; the text is a sentence for the operator, without any content of the file."""
