"""Passwords, tokens, roles, and the limit on wrong passwords: a caller has the rights of one member and no more."""
