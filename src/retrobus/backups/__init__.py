"""Makes, lists and reads backups, and restores them: all or nothing, and no row that was deleted since."""


class BadBackup(ValueError):
    """A backup that cannot be used; the text is a sentence for the operator, without any content of the file."""
