"""What only a developer's machine needs: a PostgreSQL of its own and an invented collection."""
