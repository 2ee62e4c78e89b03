"""Who somebody is and what they may do: password hashes, access tokens, roles."""

import asyncio
import json
import secrets
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize
from weakref import WeakKeyDictionary

import jwt
from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher

from retrobus.model.limits import NUMBER_MAX
from retrobus.model.members import ROLES
from retrobus.store.contract import Caller, Row

ADMIN = "ADMIN"
MANAGERS = frozenset({"BUREAU", ADMIN, "PRESIDENT", "VICE_PRESIDENT", "TRESORIER", "SECRETAIRE_GENERAL"})

LONGEST_LIFE = 86_400
"""Seconds beyond which no token is believed, whoever signed it."""

TYPES = ("jwt", "at+jwt")
"""What the header's typ may be, in any case (RFC 7519, RFC 9068)."""

LONGEST_TOKEN = 4096
LEEWAY = 10
REMEMBERED = 2048
BCRYPT_BYTES = 72
CLAIMS = ("exp", "iat", "nbf", "iss", "aud", "sub", "jti")

# The parameters that OWASP gives for argon2id with 19 MiB: logins side by side must not fill the memory.
_hashes = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1), BcryptHasher()))
_NOBODY = _hashes.hash(secrets.token_urlsafe())
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def effective_role(role: str) -> str:
    """The role as rights see it: a value that old data brought along counts as MEMBER."""
    return role if role in ROLES else "MEMBER"


def _turn() -> asyncio.Semaphore:
    """Two hashes at a time on one event loop, whichever application runs there."""
    return _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(2))


async def hash_password(password: str) -> str:
    """An argon2id hash, made off the event loop; of the NFC form, since keyboards differ in how they compose é."""
    async with _turn():
        return await asyncio.to_thread(_hashes.hash, normalize("NFC", password))


async def check_password(
    password: str, password_hash: str | None, admit: Callable[[], Awaitable[None]] | None = None
) -> tuple[bool, str | None]:
    """Whether the password is right, and a better hash to keep if the stored one is of an old kind.

    Takes as long for an unknown account (no hash) as for a known one. `admit` is asked when its turn has come: of many
    passwords sent side by side, those that a limit forbids are not looked at, and few right ones wait to be taken back.
    """
    known, better = False, None
    for form in dict.fromkeys((normalize("NFC", password), password)):  # imported hashes are of the form once typed
        async with _turn():
            if admit is not None:
                await admit()
                admit = None
            known, better = await asyncio.to_thread(_verify, form, password_hash or _NOBODY)
        if known:
            break
    return known and password_hash is not None, better


def _verify(password: str, password_hash: str) -> tuple[bool, str | None]:
    counted = _counted(password, password_hash)
    try:
        known, better = _hashes.verify_and_update(counted, password_hash)
    except (PwdlibError, ValueError):  # an unknown or damaged hash, or more bytes than bcrypt takes: a wrong password
        _hashes.verify(password, _NOBODY)
        return False, None
    # The better hash is of the whole password: the next login is compared with all of it.
    return known, _hashes.hash(password) if better is not None and counted != password else better


def _counted(password: str, password_hash: str) -> str | bytes:
    """What the hash was made of: bcrypt counts 72 bytes, and an old program passed over the rest without a word."""
    return password.encode()[:BCRYPT_BYTES] if password_hash.startswith("$2") else password


class BadToken(Exception):
    """The token gives no access; the text says why, for the log and the client."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """How tokens are signed and what they must say; the first secret signs, all verify."""

    secrets: tuple[str, ...]
    issuer: str
    audience: str
    ttl: int


class Tokens:
    """Issues and verifies access tokens; what was verified once is remembered until it expires."""

    def __init__(self, rules: TokenRules) -> None:
        self._rules = rules
        self._verified: OrderedDict[str, tuple[float, Caller]] = OrderedDict()

    def issue(self, row: Row, ttl: int | None = None) -> tuple[str, int]:
        """A token for this member row, and the seconds that it lives."""
        now, life = int(time.time()), min(ttl or self._rules.ttl, LONGEST_LIFE)
        claims = {
            "iss": self._rules.issuer,
            "aud": self._rules.audience,
            "sub": row["id"],
            "jti": secrets.token_urlsafe(12),
            "iat": now,
            "nbf": now,
            "exp": now + life,
            "typ": "access",
            "role": effective_role(row["role"]),
            "epoch": row["token_epoch"],
        }
        return jwt.encode(claims, self._rules.secrets[0], algorithm="HS256"), life

    def verify(self, token: str) -> Caller:
        """The member whom the token names; BadToken if it proves nothing."""
        known = self._verified.get(token)
        if known is not None and known[0] > time.time():
            self._verified.move_to_end(token)
            return known[1]
        if len(token) > LONGEST_TOKEN:
            raise BadToken("jeton trop long")
        claims = self._claims(token)
        caller = Caller(claims["sub"], claims["epoch"], effective_role(claims["role"]))
        self._verified[token] = (claims["exp"], caller)
        if len(self._verified) > REMEMBERED:
            self._verified.popitem(last=False)
        return caller

    def _claims(self, token: str) -> dict[str, Any]:
        for secret in self._rules.secrets:
            try:
                claims: dict[str, Any] = jwt.decode(
                    token,
                    secret,
                    algorithms=["HS256"],
                    audience=self._rules.audience,
                    issuer=self._rules.issuer,
                    leeway=LEEWAY,
                    options={"require": list(CLAIMS)},
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.ExpiredSignatureError as error:
                raise BadToken("jeton expiré") from error
            except (jwt.PyJWTError, ValueError, RecursionError) as error:
                raise BadToken("jeton invalide") from error
            _refuse_oddities(token, claims)
            return claims
        raise BadToken("jeton invalide")


def _refuse_oddities(token: str, claims: dict[str, Any]) -> None:
    """What the library accepts and we do not."""
    times = [claims["exp"], claims["iat"], claims["nbf"]]
    texts = [claims["sub"], claims["jti"], claims.get("role")]
    if (
        claims.get("typ") != "access"
        or _header_type(token) not in TYPES
        or not all(type(value) is int for value in [*times, claims.get("epoch")])
        or not all(isinstance(value, str) and _could_be_stored(value) for value in texts)
        or not 0 <= claims["epoch"] <= NUMBER_MAX
        or claims["exp"] - claims["iat"] > LONGEST_LIFE
        or _has_duplicates(token)
    ):
        raise BadToken("jeton invalide")


def _header_type(token: str) -> object:
    """What kind of token the header names, in small letters: one that was signed for another use opens nothing here."""
    found: object = jwt.get_unverified_header(token).get("typ")
    return found.lower().removeprefix("application/") if isinstance(found, str) else found


def _could_be_stored(text: str) -> bool:
    """Whether a row may hold this text: Postgres is not asked about any other."""
    return bool(text) and not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)


def _has_duplicates(token: str) -> bool:
    for part in token.split(".")[:2]:
        pairs: list[list[tuple[str, Any]]] = []
        json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)), object_pairs_hook=pairs.append)
        if any(len(found) != len(dict(found)) for found in pairs):
            return True
    return False
