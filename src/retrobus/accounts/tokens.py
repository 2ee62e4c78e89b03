"""Access tokens: JSON Web Tokens that name a member, a role and an epoch."""

import json
import secrets
import time
from base64 import urlsafe_b64decode
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import jwt

from retrobus.accounts.roles import effective_role
from retrobus.model.limits import NUMBER_MAX
from retrobus.store.contract import Caller, Row

LONGEST_LIFE = 86_400
"""Seconds beyond which no token is believed, also if its signature is right."""

TYPES = ("jwt", "at+jwt")
"""What the header's `typ` may be, in any case (RFC 7519, RFC 9068)."""

LONGEST_TOKEN = 4096
"""Characters beyond which a token is refused unread."""

LEEWAY = 10
"""Seconds by which the clocks of two machines may differ."""

REMEMBERED = 2048
"""Verified tokens that one process remembers."""

CLAIMS = ("exp", "iat", "nbf", "iss", "aud", "sub", "jti")


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
    """Issues and verifies access tokens; a token that was verified is remembered until it expires."""

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
    """BadToken for what the library accepts and this service does not."""
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
    """The kind of token that the header names, in small letters: a token for another use gives no access."""
    found: object = jwt.get_unverified_header(token).get("typ")
    return found.lower().removeprefix("application/") if isinstance(found, str) else found


def _could_be_stored(text: str) -> bool:
    """Whether a row may hold this text: PostgreSQL would refuse a query with any other."""
    return bool(text) and not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text)


def _has_duplicates(token: str) -> bool:
    """Whether header or claims name a thing twice: two readers could believe different values."""
    for part in token.split(".")[:2]:
        pairs: list[list[tuple[str, Any]]] = []
        json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)), object_pairs_hook=pairs.append)
        if any(len(found) != len(dict(found)) for found in pairs):
            return True
    return False
