"""Logging in, changing one's password, and who one is."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from retrobus import logbook
from retrobus.accounts.security import check_password, effective_role, hash_password
from retrobus.api.reference import described
from retrobus.api.service import caller, done, once, read_object, service, validated
from retrobus.http.problems import Problem, invalid, origin_headers, unauthenticated
from retrobus.model.credentials import Login, MemberLogin, PasswordChange
from retrobus.model.resources import MEMBER
from retrobus.model.wire import render
from retrobus.store.contract import (
    Caller,
    NotFound,
    Row,
    Stale,
    StoreError,
    Terms,
    Unauthenticated,
    Unavailable,
    Update,
)

router = APIRouter(prefix="/api", tags=["auth"])
SHOWN = ("id", "email", "firstName", "lastName", "role", "permissions")


@router.post("/auth/login", operation_id="login", **described("Session", "login", body="Login"))
async def login(request: Request) -> Response:
    """A token for an e-mail (or matricule) and a password."""
    values = validated(Login, await read_object(request))
    return await _log_in(request, values["email"], values["password"])


@router.post("/auth/member-login", operation_id="memberLogin", **described("Session", "login", body="MemberLogin"))
async def member_login(request: Request) -> Response:
    """A token for an exact matricule or e-mail and a password."""
    values = validated(MemberLogin, await read_object(request))
    return await _log_in(request, values["identifier"], values["password"])


@router.post(
    "/auth/change-password",
    operation_id="changePassword",
    **described("Done", "own", "password", body="PasswordChange"),
)
@router.post(
    "/members/change-password",
    operation_id="changeMemberPassword",
    **described("Done", "own", "password", body="PasswordChange"),
)
async def change_password(request: Request) -> Response:
    """Replaces the caller's password; earlier tokens stop working."""
    who = caller(request)
    values = validated(PasswordChange, await read_object(request))
    store = service(request).store
    row = await store.account(member_id=who.id)
    if row is None or row["status"] != "active" or row["token_epoch"] != who.epoch:
        raise Unauthenticated
    await _prove(request, values["current_password"], row)
    better = await hash_password(values["new_password"])

    def change(old: Row) -> Row:
        if old["password_hash"] != row["password_hash"]:
            raise Stale
        return {"password_hash": better, "token_epoch": old["token_epoch"] + 1}

    return done(await store.write(Update(MEMBER, who.id, change, Terms(who, once=once(request)))))


@router.get("/auth/me", operation_id="whoAmI", **described("Me", "read"))
@router.get("/me", operation_id="me", **described("Me", "read"))
async def who_am_i(request: Request) -> Response:
    """The caller; while Postgres is unavailable, what the verified token alone says."""
    who = caller(request)
    try:
        found = await service(request).store.get(MEMBER, who.id, view="one", caller=who)
    except NotFound:
        raise unauthenticated() from None
    except Unavailable:
        return _answer({"user": _from_token(who)}, {"X-Data-Source": "token"})
    row = json.loads(found.json)
    return _answer({"user": _user(row) | {"status": row["status"]}}, origin_headers(found.origin))


async def _log_in(request: Request, identifier: str, password: str) -> Response:
    _refuse(await service(request).throttle.wait_of(_address(request)))
    store = service(request).store
    row, origin = await store.account(identifier=identifier), store.origin
    turn = _Turn(request, _counted(identifier, row))
    right, better = await check_password(password, row["password_hash"] if row else None, turn.admit)
    service(request).metrics.logins.labels("ok" if right else "failed").inc()
    if row is None or not right or row["status"] != "active":
        raise unauthenticated(code="login_failed")
    await turn.succeeded()
    if better is not None:
        await _keep_hash(request, row, better)
    token, life = service(request).tokens.issue(row)
    user = _user(json.loads(render(MEMBER, "one", row)))
    return _answer({"token": token, "tokenType": "Bearer", "expiresIn": life, "user": user}, origin_headers(origin))


async def _prove(request: Request, password: str, row: Row) -> None:
    """The present password, under the same throttle as a login; a wrong one is no reason to log out."""
    turn = _Turn(request, _counted("", row))
    right, _ = await check_password(password, row["password_hash"], turn.admit)
    if not right:
        raise invalid(("currentPassword", "mot de passe actuel incorrect"))
    await turn.succeeded()


def _counted(name: str, row: Row | None) -> str:
    """Under what wrong passwords count: the member's id, however the account was named; a name that is no account's
    counts for itself, so that an unknown account is refused after as many tries as a known one.
    """
    return f"name {name.casefold()}" if row is None else f"id {row['id']}"


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _refuse(wait: float) -> None:
    """429 if there are seconds to wait."""
    if wait > 0:
        logbook.login_throttled()
        raise Problem("too_many_attempts", headers={"Retry-After": str(int(wait) + 1)})


class _Turn:
    """One try at the password of an account, from the request's address."""

    def __init__(self, request: Request, account: str) -> None:
        self._throttle = service(request).throttle
        self._who = account, _address(request)

    async def admit(self) -> None:
        """Counts the try before its password is looked at; 429 if there were too many."""
        _refuse(await self._throttle.admit(*self._who))

    async def succeeded(self) -> None:
        """The password was right: this try does not count."""
        await self._throttle.succeeded(*self._who)


async def _keep_hash(request: Request, row: Row, better: str) -> None:
    """Replaces a hash of an old kind by one of today's; the login does not depend on it."""

    def change(old: Row) -> Row:
        return {"password_hash": better} if old["password_hash"] == row["password_hash"] else {}

    try:
        await service(request).store.write(Update(MEMBER, row["id"], change, Terms(None)))
    except StoreError:
        logbook.hash_not_kept()


def _user(row: dict[str, Any]) -> dict[str, Any]:
    role = effective_role(row["role"])
    return {name: row[name] for name in SHOWN} | {"role": role, "roles": [role]}


def _from_token(who: Caller) -> dict[str, Any]:
    known = {"id": who.id, "role": who.role, "roles": [who.role], "permissions": [], "status": "active"}
    return {"email": "", "firstName": "", "lastName": ""} | known


def _answer(value: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(value, ensure_ascii=False)
    return Response(text, 200, {"Cache-Control": "no-store", **(headers or {})}, "application/json")
