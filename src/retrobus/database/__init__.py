"""The PostgreSQL server: where it is, whether it suits, what its schema and rights must be."""
