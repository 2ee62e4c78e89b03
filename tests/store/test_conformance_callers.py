"""What every store promises, on each of them: who has access, writes that are repeated, accounts."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from retrobus.model.resources import EVENT, MEMBER, VEHICLE
from retrobus.store.contract import (
    Caller,
    Document,
    Once,
    Precondition,
    Terms,
    Update,
)
from retrobus.store.errors import (
    Conflict,
    InProgress,
    KeyReused,
    NoAnswer,
    NotFound,
    Stale,
    Unauthenticated,
)
from stores import FOUNDER, Subject, a_member, a_vehicle, an_event, setting

POST = Once("k1", "POST", "/api/events", b"one")
OTHER = Caller("other", 0, "MEMBER")

VERBS: dict[str, Callable[[Subject, Caller], object]] = {
    "find": lambda subject, who: subject.find(EVENT, caller=who),
    "copy": lambda subject, who: subject.copy(EVENT, caller=who),
    "get": lambda subject, who: subject.get(EVENT, "nothing", caller=who),
    "image": lambda subject, who: subject.image("nothing", caller=who),
    "insert": lambda subject, who: subject.insert(EVENT, an_event("a", vehicle_id="nothing"), caller=who),
    "update": lambda subject, who: subject.update(EVENT, "nothing", setting(title="x"), caller=who),
    "delete": lambda subject, who: subject.delete(EVENT, "nothing", caller=who),
}
"""Each would fail, or find nothing: access comes before everything else."""


def ids(subject: Subject) -> list[str]:
    return [json.loads(row)["id"] for row in subject.find(EVENT).documents]


def same(first: Document, second: Document) -> bool:
    names = ("json", "etag", "key", "durability")
    return all(getattr(first, name) == getattr(second, name) for name in names)


@pytest.mark.parametrize("verb", VERBS)
def test_a_token_of_another_epoch_gives_no_access(subject: Subject, verb: str) -> None:
    subject.given(MEMBER, a_member(OTHER.id, token_epoch=2))
    for epoch in (1, 3):
        with pytest.raises(Unauthenticated):
            VERBS[verb](subject, replace(OTHER, epoch=epoch))


@pytest.mark.parametrize("status", ["terminated", "disabled"])
def test_only_an_active_member_has_access(subject: Subject, status: str) -> None:
    subject.given(MEMBER, a_member(OTHER.id, status=status))
    for verb in VERBS.values():
        with pytest.raises(Unauthenticated):
            verb(subject, OTHER)


def test_a_member_of_whom_nothing_is_known_is_not_let_in(subject: Subject) -> None:
    expected = NoAnswer if subject.from_memory else Unauthenticated
    for verb in VERBS.values():
        with pytest.raises(expected):
            verb(subject, Caller("stranger", 0, "ADMIN"))


def test_a_deleted_member_has_no_access(subject: Subject) -> None:
    subject.given(MEMBER, a_member(OTHER.id))
    assert subject.find(EVENT, caller=OTHER).documents == []
    subject.delete(MEMBER, OTHER.id)

    for verb in VERBS.values():
        with pytest.raises(Unauthenticated):
            verb(subject, OTHER)


def test_what_asks_for_nobody_needs_no_access(subject: Subject) -> None:
    subject.given(EVENT, an_event("a"))

    assert subject.get(EVENT, "a", caller=None).key == "a"
    assert len(subject.find(EVENT, caller=None).documents) == 1
    assert json.loads(subject.update(EVENT, "a", setting(title="x"), caller=None).json)["title"] == "x"


@pytest.mark.parametrize("values", [{"role": "BUREAU"}, {"status": "disabled"}, {"token_epoch": 1}])
def test_a_changed_role_status_or_epoch_ends_the_members_tokens(subject: Subject, values: dict[str, object]) -> None:
    subject.given(MEMBER, a_member(OTHER.id))
    subject.update(MEMBER, OTHER.id, setting(**values))

    with pytest.raises(Unauthenticated):
        subject.find(EVENT, caller=OTHER)
    subject.update(MEMBER, OTHER.id, setting(status="active"))
    account = subject.account(member_id=OTHER.id)
    assert account is not None
    assert account["token_epoch"] == (2 if "status" in values else 1)
    assert subject.find(EVENT, caller=replace(OTHER, epoch=account["token_epoch"])).documents == []


def test_an_epoch_that_is_set_counts_once(subject: Subject) -> None:
    subject.given(MEMBER, a_member(OTHER.id))
    subject.update(MEMBER, OTHER.id, setting(role="BUREAU", token_epoch=1))

    assert subject.find(EVENT, caller=replace(OTHER, epoch=1)).documents == []


def test_other_changes_leave_a_members_tokens(subject: Subject) -> None:
    subject.given(MEMBER, a_member(OTHER.id))
    subject.update(MEMBER, OTHER.id, setting(role="MEMBER", status="active", notes="x", permissions='["a"]'))

    assert subject.find(EVENT, caller=OTHER).documents == []


def test_a_repeated_insert_gives_its_answer_again(subject: Subject) -> None:
    first = subject.insert(EVENT, an_event("a"), once=POST)
    subject.update(EVENT, "a", setting(title="Deux"))
    again = subject.insert(EVENT, an_event("a"), once=POST)

    assert same(first, again)
    assert json.loads(subject.get(EVENT, "a").json)["title"] == "Deux"


def test_a_repeated_insert_does_not_bring_a_row_back(subject: Subject) -> None:
    first = subject.insert(EVENT, an_event("a"), once=POST)
    subject.delete(EVENT, "a")

    assert same(first, subject.insert(EVENT, an_event("a"), once=POST))
    assert ids(subject) == []


def test_a_repeated_update_changes_once(subject: Subject) -> None:
    subject.given(MEMBER, a_member(OTHER.id, notes=""))
    once = replace(POST, method="PUT")
    first = subject.update(MEMBER, OTHER.id, lambda row: {"notes": row["notes"] + "x"}, once=once)
    again = subject.update(MEMBER, OTHER.id, lambda row: {"notes": row["notes"] + "x"}, once=once)

    assert same(first, again)
    assert json.loads(again.json)["notes"] == "x"


def test_a_repeated_update_that_changed_nothing_gives_its_answer_again(subject: Subject) -> None:
    subject.given(EVENT, an_event("a"))
    first = subject.update(EVENT, "a", setting(), once=POST)
    subject.update(EVENT, "a", setting(title="Deux"))

    assert same(first, subject.update(EVENT, "a", setting(), once=POST))


def test_a_repeated_delete_gives_its_answer_again(subject: Subject) -> None:
    subject.given(EVENT, an_event("a"))
    once = replace(POST, method="DELETE")
    first = subject.delete(EVENT, "a", once=once)
    subject.insert(EVENT, an_event("a"))

    assert same(first, subject.delete(EVENT, "a", once=once))
    assert ids(subject) == ["a"]


def test_a_key_serves_one_request_only(subject: Subject) -> None:
    subject.insert(EVENT, an_event("a"), once=POST)

    with pytest.raises(KeyReused):
        subject.insert(EVENT, an_event("b"), once=replace(POST, fingerprint=b"two"))
    assert ids(subject) == ["a"]


@pytest.mark.parametrize(
    "other", [replace(POST, path="/api/other"), replace(POST, method="PUT"), replace(POST, key="K1")]
)
def test_a_key_belongs_to_a_method_and_a_path(subject: Subject, other: Once) -> None:
    subject.insert(EVENT, an_event("a"), once=POST)

    assert subject.insert(EVENT, an_event("b"), once=other).key == "b"


def test_each_caller_has_keys_of_their_own(subject: Subject) -> None:
    subject.given(MEMBER, a_member(OTHER.id))
    subject.insert(EVENT, an_event("a"), once=POST)

    assert subject.insert(EVENT, an_event("b"), caller=OTHER, once=POST).key == "b"
    assert ids(subject) == ["a", "b"]


def test_a_refused_write_leaves_its_key_free(subject: Subject) -> None:
    subject.given(EVENT, an_event("a"))
    with pytest.raises(Conflict):
        subject.insert(EVENT, an_event("a"), once=POST)
    with pytest.raises(NotFound):
        subject.delete(EVENT, "b", once=POST)

    assert subject.insert(EVENT, an_event("b"), once=POST).key == "b"


def test_a_repeat_needs_access_and_nothing_else(subject: Subject) -> None:
    subject.given(MEMBER, a_member(OTHER.id))
    subject.insert(EVENT, an_event("a"), caller=OTHER, once=POST)
    assert subject.insert(EVENT, an_event("a"), caller=OTHER, once=POST).key == "a"
    subject.update(MEMBER, OTHER.id, setting(status="disabled"))

    with pytest.raises(Unauthenticated):
        subject.insert(EVENT, an_event("a"), caller=OTHER, once=POST)


def test_of_two_repeats_at_once_one_is_done(subject: Subject) -> None:
    subject.given(VEHICLE, a_vehicle("920", subtitle=""))

    async def both() -> list[Document | BaseException]:
        def change(row: dict[str, str]) -> dict[str, str]:
            return {"subtitle": row["subtitle"] + "x"}

        writes = (subject.store.write(Update(VEHICLE, "920", change, Terms(FOUNDER, once=POST))) for _ in range(2))
        return await asyncio.gather(*writes, return_exceptions=True)

    answers = subject.run(both())
    done = [answer for answer in answers if isinstance(answer, Document)]

    assert done
    assert all(isinstance(answer, Document | InProgress) for answer in answers)
    assert all(same(done[0], answer) for answer in done)
    assert json.loads(subject.get(VEHICLE, "920").json)["subtitle"] == "x"


def test_of_two_changes_of_one_version_one_is_done(subject: Subject) -> None:
    [given] = subject.given(EVENT, an_event("a"))

    async def both() -> list[Document | BaseException]:
        match = Precondition((given.etag,))
        writes = (
            subject.store.write(Update(EVENT, "a", setting(title=title), Terms(FOUNDER, match))) for title in "xy"
        )
        return await asyncio.gather(*writes, return_exceptions=True)

    answers = subject.run(both())

    assert [type(answer) for answer in answers if not isinstance(answer, Document)] == [Stale]
    assert [answer.etag for answer in answers if isinstance(answer, Document)] == [subject.get(EVENT, "a").etag]


@pytest.mark.parametrize("identifier", ["Anna@Example.org", "anna@example.ORG", "RB-é1", "rb-é1"])
def test_an_account_is_found_by_email_or_matricule_in_any_case(subject: Subject, identifier: str) -> None:
    subject.given(MEMBER, a_member("m", email="Anna@Example.org", matricule="rB-é1", password_hash="a-hash"))
    found = subject.account(identifier=identifier)

    assert found is not None
    assert (found["id"], found["password_hash"], found["token_epoch"], found["status"]) == ("m", "a-hash", 0, "active")
    assert found.keys() == {column.name for column in MEMBER.columns}


def test_an_email_goes_before_a_matricule_that_looks_like_it(subject: Subject) -> None:
    subject.given(MEMBER, a_member("m", matricule="n@example.org"), a_member("n"), a_member("o", matricule="x"))

    found = [subject.account(identifier=name) for name in ("N@example.org", "X")]

    assert [row["id"] for row in found if row] == ["n", "o"]


def test_an_account_is_found_by_its_id_as_it_is(subject: Subject) -> None:
    found = subject.account(member_id=FOUNDER.id)

    assert found is not None
    assert found["email"] == "founder@example.org"


@pytest.mark.parametrize("names", [{"identifier": "nobody@example.org"}, {"member_id": "FOUNDER"}])
def test_an_account_that_is_not_there_is_none(subject: Subject, names: dict[str, str]) -> None:
    if subject.kind == "fallback":  # it may exist all the same: memory is only a copy
        with pytest.raises(NoAnswer):
            subject.account(**names)
    else:
        assert subject.account(**names) is None
