"""Accounts whose password is known, and how they log in."""

import asyncio
import os
from typing import Any

import httpx

from harness import Api, Person
from retrobus.accounts.passwords import hash_password

PASSWORD = "correct horse battery"
HASH = asyncio.run(hash_password(PASSWORD))


def an_account(api: Api, role: str = "MEMBER", **columns: Any) -> Person:
    """A member with PASSWORD, and a token that was not made by logging in."""
    return api.person(role, **({"password_hash": HASH} | columns))


def elsewhere() -> dict[str, str]:
    """Headers of a client with an address of its own, behind a trusted proxy: no test slows down another."""
    return {"X-Forwarded-For": ".".join(str(byte % 250 + 1) for byte in b"\x09" + os.urandom(3))}


def log_in(api: Api, name: str, password: str = PASSWORD, *, key: str = "email", **headers: str) -> httpx.Response:
    """Logs in by the route that takes this key."""
    path = "/api/auth/login" if key == "email" else "/api/auth/member-login"
    return api.post(path, json={key: name, "password": password}, headers=elsewhere() | headers)


def email_of(api: Api, person: Person) -> str:
    """The e-mail of an account."""
    found: str = api.sql(f"SELECT email FROM member WHERE id = '{person.id}'")[0][0]
    return found


def bearer(token: str) -> dict[str, str]:
    """The header that carries a token."""
    return {"Authorization": f"Bearer {token}"}
