"""The routes: each takes, asks the store, and returns."""
