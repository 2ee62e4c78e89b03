"""Logging in, changing one's password, and reading who one is."""

import json
from typing import Any

from fastapi import Response

from retrobus import logbook
from retrobus.accounts.changes import with_epoch
from retrobus.accounts.passwords import check_password, hash_password
from retrobus.accounts.roles import effective_role
from retrobus.accounts.throttle import alias_of
from retrobus.api.answers import DONE, Answer, answered
from retrobus.api.bodies import Body
from retrobus.api.calls import Call, Routes
from retrobus.api.declaration import Route
from retrobus.api.rights import ANYONE, MEMBERS
from retrobus.http.problems import invalid, origin_headers, too_many_attempts, unauthenticated
from retrobus.model.credentials import Login, MemberLogin, PasswordChange
from retrobus.model.resources import MEMBER
from retrobus.model.wire import render
from retrobus.store.contract import (
    Caller,
    Document,
    Row,
    Terms,
    Update,
)
from retrobus.store.errors import (
    NotFound,
    Stale,
    StoreError,
    Unauthenticated,
    Unavailable,
)

router = Routes("auth", "/api")
SHOWN = ("id", "email", "firstName", "lastName", "role", "permissions")
SESSION, ME = Answer("Session"), Answer("Me")
ANY_ACCOUNT = "-"
"""What the log says of the account if an address must wait whatever account it tries."""

REFUSED = (401, 429)
"""The statuses of a failed login: a wrong password, and too many of them."""


@router.declare(Route("POST", "/auth/login", ANYONE, SESSION, body=Body(Login), errors=REFUSED))
async def login(call: Call) -> Response:
    """A token for an e-mail (or matricule) and a password."""
    return await _log_in(call, call.values["email"])


@router.declare(Route("POST", "/auth/member-login", ANYONE, SESSION, body=Body(MemberLogin), errors=REFUSED))
async def member_login(call: Call) -> Response:
    """A token for an exact matricule or e-mail and a password."""
    return await _log_in(call, call.values["identifier"])


def _password_change(path: str, name: str = "") -> Route:
    body = Body(PasswordChange)
    return Route("POST", path, MEMBERS, DONE, body=body, if_match=False, errors=(429,), name=name)


@router.declare(_password_change("/auth/change-password"))
@router.declare(_password_change("/members/change-password", "changeMemberPassword"))
async def change_password(call: Call) -> Document:
    """Replaces the caller's password; earlier tokens stop working."""
    who = call.who
    row = await call.store.account(member_id=who.id)
    if row is None or row["status"] != "active" or row["token_epoch"] != who.epoch:
        raise Unauthenticated
    await _prove(call, call.values["current_password"], row)
    better = await hash_password(call.values["new_password"])

    def change(old: Row) -> Row:
        if old["password_hash"] != row["password_hash"]:
            raise Stale
        return with_epoch(old, {"password_hash": better})

    return await call.store.write(Update(MEMBER, who.id, change, call.terms()))


@router.declare(Route("GET", "/auth/me", MEMBERS, ME))
@router.declare(Route("GET", "/me", MEMBERS, ME, name="me"))
async def who_am_i(call: Call) -> Response:
    """The caller; while Postgres is unavailable, what the verified token alone says."""
    who = call.who
    try:
        found = await call.store.get(MEMBER, who.id, view="one", caller=who)
    except NotFound:
        raise unauthenticated() from None
    except Unavailable:
        return answered({"user": _from_token(who)}, {"X-Data-Source": "token"})
    row = json.loads(found.json)
    return answered({"user": _user(row) | {"status": row["status"]}}, origin_headers(found.origin))


async def _log_in(call: Call, identifier: str) -> Response:
    _refuse(await call.service.throttle.wait_of(_address(call)), ANY_ACCOUNT, _address(call))
    row, origin = await call.store.account(identifier=identifier), call.store.origin
    turn = _Turn(call, identifier, row)
    right, better = await check_password(call.values["password"], row["password_hash"] if row else None, turn.admit)
    call.service.metrics.logins.labels("ok" if right else "failed").inc()
    if row is None or not right or row["status"] != "active":
        raise unauthenticated(code="login_failed")
    await turn.succeeded()
    if better is not None:
        await _keep_hash(call, row, better)
    token, life = call.service.tokens.issue(row)
    user = _user(json.loads(render(MEMBER, "one", row)))
    return answered({"token": token, "tokenType": "Bearer", "expiresIn": life, "user": user}, origin_headers(origin))


async def _prove(call: Call, password: str, row: Row) -> None:
    """Checks the present password under the same throttle as a login.

    A wrong one is answered with 422: clients log out on 401.
    """
    turn = _Turn(call, "", row)
    right, _ = await check_password(password, row["password_hash"], turn.admit)
    if not right:
        raise invalid(("currentPassword", "mot de passe actuel incorrect"))
    await turn.succeeded()


def _counted(name: str, row: Row | None) -> str:
    """The name under which wrong passwords are counted: the member's id, by whatever name the client gave the account.

    A name without an account is counted for itself: an unknown account is refused after as many tries as a known one.
    """
    return f"name {name.casefold()}" if row is None else f"id {row['id']}"


def _address(call: Call) -> str:
    return call.request.client.host if call.request.client else ""


def _refuse(wait: float, account: str, address: str) -> None:
    """429 if there are seconds to wait; the log tells the account without its name."""
    if wait > 0:
        logbook.login_throttled(account, address)
        raise too_many_attempts(wait)


class _Turn:
    """One try at the password of an account (of a name, if it has no account), from the address of the request."""

    def __init__(self, call: Call, name: str, row: Row | None) -> None:
        self._throttle = call.service.throttle
        self._who = _counted(name, row), _address(call)
        self._told = self._throttle.alias(self._who[0]) if row is None else alias_of(row["id"])

    async def admit(self) -> None:
        """Counts the try before its password is checked; 429 if there were too many."""
        _refuse(await self._throttle.admit(*self._who), self._told, self._who[1])

    async def succeeded(self) -> None:
        """Takes the try back: its password was right."""
        await self._throttle.succeeded(*self._who)


async def _keep_hash(call: Call, row: Row, better: str) -> None:
    """Replaces a hash of an old kind by one of today's; the login succeeds even if this fails."""

    def change(old: Row) -> Row:
        return {"password_hash": better} if old["password_hash"] == row["password_hash"] else {}

    try:
        await call.store.write(Update(MEMBER, row["id"], change, Terms(None)))
    except StoreError:
        logbook.hash_not_kept()


def _user(row: dict[str, Any]) -> dict[str, Any]:
    role = effective_role(row["role"])
    return {name: row[name] for name in SHOWN} | {"role": role, "roles": [role]}


def _from_token(who: Caller) -> dict[str, Any]:
    known = {"id": who.id, "role": who.role, "roles": [who.role], "permissions": [], "status": "active"}
    return {"email": "", "firstName": "", "lastName": ""} | known
