"""Members: everybody's own record, and everything for managers; only an ADMIN touches ADMINs, roles and permissions."""

from typing import Any

from fastapi import APIRouter, Request, Response

from retrobus.accounts.security import ADMIN, hash_password
from retrobus.api.reference import described
from retrobus.api.service import (
    answered,
    caller,
    done,
    equal,
    is_admin,
    listed,
    manager,
    once,
    one_of,
    page_query,
    query_of,
    read_body,
    read_object,
    service,
    terms,
    validated,
)
from retrobus.http.problems import invalid
from retrobus.model.ids import new_id
from retrobus.model.members import (
    MEMBER_STATUSES,
    MEMBERSHIP_STATUSES,
    ROLES,
    MemberChange,
    MemberCreation,
    OwnChange,
)
from retrobus.model.resources import MEMBER
from retrobus.model.texts import EMAIL, one_line
from retrobus.store.contract import Caller, Change, Delete, FieldError, Forbidden, Insert, Invalid, Row, Terms, Update

router = APIRouter(prefix="/api/members", tags=["members"])


@router.get(
    "",
    operation_id="listMembers",
    **described("MemberList", "list", "manage", filters=("status", "membershipStatus", "email")),
)
async def list_members(request: Request) -> Response:
    """Members by last name, first name and id."""
    who = manager(request)
    values = query_of(request, "status", "membershipStatus", "email", "limit", "cursor")
    filters = one_of(values, "status", MEMBER_STATUSES) + one_of(values, "membershipStatus", MEMBERSHIP_STATUSES)
    query = page_query(MEMBER, values, view="list", filters=filters + equal(values, "email", fold=True))
    return listed(await service(request).store.find(MEMBER, query, caller=who), request, "members")


@router.post("", operation_id="createMember", status_code=201, **described("Member", "create", body="MemberCreation"))
async def create_member(request: Request) -> Response:
    """Creates a member; e-mails are unique without regard to case."""
    who = manager(request)
    values = await _with_hash(validated(MemberCreation, await read_object(request), MEMBER))
    key = once(request)
    _refuse_rights(who, values, {"role": "MEMBER", "permissions": "[]", "email": "", "matricule": None})
    values |= {"id": new_id(who.id, key.key if key else None), "created_by": who.id}
    document = await service(request).store.write(Insert(MEMBER, values, Terms(who, once=key)))
    return answered(document, request, 201, location="/api/members")


@router.put("", operation_id="updateMemberByBody", **described("Member", "update", body="MemberChangeById"))
@router.patch("", operation_id="patchMemberByBody", **described("Member", "update", body="MemberChangeById"))
async def update_member_by_body(request: Request) -> Response:
    """Changes the member whose `id` is in the body."""
    who = manager(request)
    value = await read_object(request)
    return await _update(request, who, _id_in(value), value)


@router.delete("", operation_id="deleteMemberByBody", **described("Done", "delete", body="MemberKey"))
async def delete_member_by_body(request: Request) -> Response:
    """Deletes the member whose `id` is in the body."""
    who = manager(request)
    return await _delete(request, who, _id_in(await read_object(request)))


@router.get("/me", operation_id="getOwnMember", **described("Member", "read", "one"))
async def get_own_member(request: Request) -> Response:
    """The caller's own record."""
    who = caller(request)
    return answered(await service(request).store.get(MEMBER, who.id, view="one", caller=who), request)


@router.put("/me", operation_id="updateOwnMember", **described("Member", "own", body="OwnChange"))
async def update_own_member(request: Request) -> Response:
    """Changes what members may change of their own record."""
    who = caller(request)
    values = validated(OwnChange, await read_object(request), MEMBER)
    document = await service(request).store.write(Update(MEMBER, who.id, lambda _: values, terms(request, who)))
    return answered(document, request)


@router.get("/{id}", operation_id="getMember", **described("Member", "manage", "one"))
async def get_member(request: Request, id: str) -> Response:  # noqa: A002 - the contract names it so
    """One member."""
    who = manager(request)
    return answered(await service(request).store.get(MEMBER, id, view="one", caller=who), request)


@router.put("/{id}", operation_id="updateMember", **described("Member", "update", body="MemberChange"))
@router.patch("/{id}", operation_id="patchMember", **described("Member", "update", body="MemberChange"))
async def update_member(request: Request, id: str) -> Response:  # noqa: A002 - the contract names it so
    """Changes the fields that are sent; a new password, role or status ends the member's tokens."""
    who = manager(request)
    return await _update(request, who, id, await read_object(request))


@router.delete("/{id}", operation_id="deleteMember", **described("Done", "delete"))
async def delete_member(request: Request, id: str) -> Response:  # noqa: A002 - the contract names it so
    """Deletes a member for good."""
    return await _delete(request, manager(request), id)


@router.post("/{id}/terminate", operation_id="terminateMember", **described("Done", "update"))
async def terminate_member(request: Request, id: str) -> Response:  # noqa: A002 - the contract names it so
    """Ends a membership: status `terminated`, membershipStatus `CANCELLED`, tokens revoked. Any body is ignored."""
    who = manager(request)
    await read_body(request, service(request).limits.body)
    values = {"status": "terminated", "membership_status": "CANCELLED"}
    document = await service(request).store.write(Update(MEMBER, id, _change(who, values), terms(request, who)))
    return done(document)


def _id_in(value: dict[str, Any]) -> str:
    if not isinstance(value.get("id"), str) or not value["id"]:
        raise invalid(("id", "l'id du membre, en texte"))
    try:
        return str(one_line(value["id"]))
    except ValueError as error:
        raise invalid(("id", str(error))) from None


async def _update(request: Request, who: Caller, key: str, value: dict[str, Any]) -> Response:
    values = await _with_hash(validated(MemberChange, value, MEMBER))
    document = await service(request).store.write(Update(MEMBER, key, _change(who, values), terms(request, who)))
    return answered(document, request)


async def _delete(request: Request, who: Caller, key: str) -> Response:
    def check(old: Row) -> None:
        if old["role"] == ADMIN and not is_admin(who):
            raise Forbidden("Seul un ADMIN peut supprimer un ADMIN.")

    document = await service(request).store.write(Delete(MEMBER, key, terms(request, who), check))
    return done(document)


async def _with_hash(values: Row) -> Row:
    """The values with the password's hash in place of the password."""
    password = values.pop("password", None)
    return values if password is None else values | {"password_hash": await hash_password(password)}


def _change(who: Caller, values: Row) -> Change:
    """What the caller may do with these values to a row, decided when its present state is known."""

    def change(old: Row) -> Row:
        changed = {name: value for name, value in values.items() if old[name] != value}
        if changed and old["role"] == ADMIN and not is_admin(who):
            raise Forbidden("Seul un ADMIN peut modifier un ADMIN.")
        _refuse_rights(who, changed, old)
        if "password_hash" in changed:
            changed["token_epoch"] = old["token_epoch"] + 1
        return changed

    return change


def _refuse_rights(who: Caller, values: Row, old: Row) -> None:
    named = ("role", "permissions", "email", "matricule")
    changed = {name for name in named if name in values and values[name] != old[name]}
    if changed & {"role", "permissions"} and not is_admin(who):
        raise Forbidden("Seul un ADMIN peut donner un rôle ou des permissions.")
    if "role" in changed and values["role"] not in ROLES:
        raise Invalid([FieldError("role", f"valeurs possibles : {', '.join(sorted(ROLES))}")])
    if "email" in changed and not EMAIL.fullmatch(values["email"]):
        raise Invalid([FieldError("email", "adresse attendue : nom@domaine.fr")])
    if "matricule" in changed and "@" in (values["matricule"] or ""):  # else it could be the e-mail of another account
        raise Invalid([FieldError("matricule", "sans « @ » : seule une adresse en contient")])
