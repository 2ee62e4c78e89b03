"""What only a developer's machine needs, its own PostgreSQL and an invented collection: production imports neither."""
