"""Who may call a route: anyone, every member, managers, or administrators."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import Request

from retrobus.accounts.roles import ADMIN, MANAGERS
from retrobus.accounts.tokens import BadToken, Tokens
from retrobus.http.problems import Problem, unauthenticated
from retrobus.store.contract import Caller


@dataclass(frozen=True)
class Rights:
    """Who may call a route: `check` gives the caller or refuses; `errors` are the statuses of its refusals."""

    errors: tuple[int, ...]
    check: Callable[[Request, Tokens], Caller | None]


def _member(request: Request, tokens: Tokens) -> Caller:
    """The member whom the bearer token names; the store proves in its own transaction that this still holds."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated("En-tête attendu : Authorization: Bearer <jeton>.")
    try:
        return tokens.verify(token.strip())
    except BadToken as error:
        raise unauthenticated(f"Accès refusé : {error}.") from error


def _manager(request: Request, tokens: Tokens) -> Caller:
    found = _member(request, tokens)
    if found.role not in MANAGERS:
        raise Problem("forbidden", "Réservé au bureau et aux administrateurs.")
    return found


def _admin(request: Request, tokens: Tokens) -> Caller:
    found = _member(request, tokens)
    if not is_admin(found):
        raise Problem("forbidden", "Réservé aux administrateurs.")
    return found


def is_admin(who: Caller) -> bool:
    """Whether the caller may touch ADMINs, roles and permissions, and decide about conflicts and backups."""
    return who.role == ADMIN


ANYONE = Rights((), lambda *_: None)
MEMBERS = Rights((401,), _member)
MANAGERS_ONLY = Rights((401, 403), _manager)
ADMINS_ONLY = Rights((401, 403), _admin)
