"""Strict mode: what a store promises, and PostgreSQL as the only one that keeps it."""
