"""Facts about the verdicts of a restore, which need no database: what both sides know of a row decides."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from retrobus.backups.facts import Facts, compared, differing, facts_of, uniques, without_lost
from retrobus.backups.rules import Rules, read_included
from retrobus.backups.verdicts import Deletion, Outcome, Sides, keeps_one, renumbered, verdict, verdicts
from retrobus.model.resources import EVENT, MEMBER, VEHICLE, Resource
from retrobus.model.rows import completed

PLAIN, REPLACE = Rules(), Rules(replace=True)
DELETED = Deletion("api", 12, datetime(2026, 1, 31, tzinfo=UTC))
STAMP = datetime(2026, 1, 1, tzinfo=UTC)


def a_row(resource: Resource, missing: frozenset[str] = frozenset(), **values: Any) -> Facts:
    row = completed(resource, {"created_at": STAMP, "updated_at": STAMP, **values})
    return facts_of(resource, row, missing)


def members(**emails: str) -> dict[str, Facts]:
    return {key: a_row(MEMBER, id=key, email=email) for key, email in emails.items()}


def an_event(title: str, **values: Any) -> Facts:
    return a_row(EVENT, id="e1", title=title, date=STAMP, **values)


def said(found: dict[str, Outcome]) -> dict[str, str]:
    return {key: outcome.verdict for key, outcome in found.items()}


@pytest.mark.parametrize(
    ("here", "deleted", "plain", "replacing"),
    [
        (None, False, "insert", "insert"),
        ("Fête", False, "same", "same"),
        ("Visite", False, "differs", "update"),
        (None, True, "buried", "buried"),
        ("Visite", True, "buried", "buried"),
        ("Fête", True, "same", "same"),
    ],
)
def test_one_row_gets_the_verdict_of_the_table_in_the_manual(
    here: str | None, plain: str, replacing: str, *, deleted: bool
) -> None:
    sides = Sides(
        EVENT,
        {} if here is None else {"e1": an_event(here)},
        {"e1": an_event("Fête")},
        deleted={"e1": DELETED} if deleted else {},
    )

    assert [verdict(sides, "e1", rules).verdict for rules in (PLAIN, REPLACE)] == [plain, replacing]


def test_a_difference_names_its_columns() -> None:
    here, there = an_event("Visite", max_participants=1), an_event("Fête", max_participants=2)

    assert differing(EVENT, here, there) == ("title", "max_participants")


def test_numbers_that_python_hashes_alike_are_different() -> None:
    assert differing(VEHICLE, a_row(VEHICLE, parc="1", fuel=-1.0), a_row(VEHICLE, parc="1", fuel=-2.0)) == ("fuel",)


def test_a_column_that_the_backup_does_not_name_is_no_difference() -> None:
    here = a_row(VEHICLE, parc="1", immat="AB-123-CD")

    assert differing(VEHICLE, here, a_row(VEHICLE, frozenset({"immat"}), parc="1")) == ()


def test_a_reference_that_is_lost_counts_as_null() -> None:
    there = an_event("Fête", vehicle_id="920")

    assert differing(EVENT, an_event("Fête"), there) == ("vehicle_id",)
    assert differing(EVENT, an_event("Fête"), without_lost(EVENT, there, {"920"})) == ()
    assert without_lost(EVENT, there, {"921"}) is there
    vehicle = a_row(VEHICLE, parc="920")
    assert without_lost(VEHICLE, vehicle, {"920"}) is vehicle


def test_rows_are_compared_by_what_people_say_of_them() -> None:
    apart = {"id", "version", "token_epoch", "updated_by"}

    assert set(compared(MEMBER)) == {column.name for column in MEMBER.columns} - apart
    assert [unique.column for unique in uniques(MEMBER)] == ["email", "matricule", "member_number"]
    assert uniques(VEHICLE) == ()


def test_amounts_are_compared_to_the_cent() -> None:
    twelve, same, more = (an_event("Fête", adult_price=Decimal(said)) for said in ("12.5", "12.500", "12.51"))

    assert differing(EVENT, twelve, same) == ()
    assert differing(EVENT, twelve, more) == ("adult_price",)


def test_only_replace_deletes_and_never_a_row_that_the_backup_has_but_that_does_not_fit() -> None:
    sides = Sides(MEMBER, members(m1="a@", m2="b@"), {}, refused={"m1"})

    assert said(verdicts(sides, PLAIN)) == {}
    assert said(verdicts(sides, REPLACE)) == {"m2": "delete"}


@pytest.mark.parametrize("option", ["e1", "event:e1", "batch:12"])
def test_an_option_takes_back_the_deletion_that_it_names(option: str) -> None:
    sides = Sides(EVENT, {}, {"e1": an_event("Fête")}, deleted={"e1": DELETED})

    assert verdicts(sides, Rules(included=(read_included(option),))) == {"e1": Outcome("insert", deletion=DELETED)}


@pytest.mark.parametrize("option", ["e2", "member:e1", "batch:11"])
def test_an_option_takes_back_no_other_deletion(option: str) -> None:
    sides = Sides(EVENT, {}, {"e1": an_event("Fête")}, deleted={"e1": DELETED})

    assert verdicts(sides, Rules(included=(read_included(option),))) == {"e1": Outcome("buried", deletion=DELETED)}


def test_no_option_brings_back_an_erased_member() -> None:
    sides = Sides(MEMBER, {}, members(m1="a@"), deleted={"m1": DELETED}, erased={"m1"})

    assert said(verdicts(sides, Rules(included=(read_included("m1"),)))) == {"m1": "buried"}


def test_a_row_that_is_here_again_has_no_option_unless_it_may_be_replaced() -> None:
    sides = Sides(EVENT, {"e1": an_event("Visite")}, {"e1": an_event("Fête")}, deleted={"e1": DELETED})

    assert verdicts(sides, PLAIN)["e1"].reason == "de retour depuis, laissé tel quel"
    assert verdicts(sides, REPLACE)["e1"].reason is None


def test_a_value_that_another_row_here_keeps_rejects_whatever_its_case() -> None:
    found = verdicts(Sides(MEMBER, members(other="A@"), members(m1="a@")), PLAIN)

    assert found["m1"] == Outcome("reject", reason="email : déjà pris ici par other")


def test_a_value_is_free_if_its_row_goes_or_gets_another_value() -> None:
    exchanged = Sides(MEMBER, members(m1="a@", m2="b@"), members(m1="b@", m2="a@"))
    gone = Sides(MEMBER, members(other="a@"), members(m1="a@"))

    assert said(verdicts(exchanged, REPLACE)) == {"m1": "update", "m2": "update"}
    assert said(verdicts(gone, REPLACE)) == {"m1": "insert", "other": "delete"}


def test_a_reject_keeps_its_row_here_which_keeps_a_value_which_rejects_another() -> None:
    here = members(m1="a@", m2="b@", m3="c@")
    there = members(m1="b@", m2="c@", m4="a@")

    found = verdicts(Sides(MEMBER, here, there, refused={"m3"}), REPLACE)

    assert said(found) == {"m1": "reject", "m2": "reject", "m4": "reject"}
    assert found["m4"].reason == "email : déjà pris ici par m1"


def test_an_updated_row_keeps_the_unique_value_that_the_backup_does_not_name() -> None:
    here = {"m1": a_row(MEMBER, id="m1", email="a@", matricule="7")}
    there = {
        "m1": a_row(MEMBER, frozenset({"matricule"}), id="m1", email="b@"),
        "m2": a_row(MEMBER, id="m2", email="c@", matricule="7"),
    }

    found = verdicts(Sides(MEMBER, here, there), REPLACE)

    assert said(found) == {"m1": "update", "m2": "reject"}


def test_a_buried_row_says_which_value_was_given_to_another() -> None:
    found = verdicts(Sides(MEMBER, members(other="a@"), members(m1="a@"), deleted={"m1": DELETED}), PLAIN)

    assert found["m1"] == Outcome("buried", reason="email : déjà pris ici par other", deletion=DELETED)


def test_a_vehicle_whose_number_is_taken_gets_another() -> None:
    here = {"a": a_row(VEHICLE, parc="a", id=1)}
    there = {key: a_row(VEHICLE, parc=key, id=number) for key, number in (("b", 1), ("c", 2), ("d", 2), ("e", None))}
    sides = Sides(VEHICLE, here, there)

    assert renumbered(sides, verdicts(sides, PLAIN)) == ["b", "d", "e"]
    assert renumbered(sides, verdicts(sides, REPLACE)) == ["d", "e"]


@pytest.mark.parametrize(
    ("role", "missing", "kept"), [("ADMIN", (), True), ("MEMBER", (), False), ("MEMBER", ("role",), True)]
)
def test_whether_an_active_admin_is_left_is_known_before(role: str, missing: tuple[str, ...], *, kept: bool) -> None:
    here = {"m1": a_row(MEMBER, id="m1", email="a@", role="ADMIN"), "m2": a_row(MEMBER, id="m2", email="b@")}
    there = {"m1": a_row(MEMBER, frozenset(missing), id="m1", email="c@", role=role)}
    sides = Sides(MEMBER, here, there)

    assert keeps_one(sides, verdicts(sides, REPLACE)) is kept


def test_an_admin_whom_the_backup_does_not_know_stays_unless_replace_deletes_all_others() -> None:
    here = {"m1": a_row(MEMBER, id="m1", email="a@", role="ADMIN")}
    sides = Sides(MEMBER, here, members(m2="b@"))

    assert [keeps_one(sides, verdicts(sides, rules)) for rules in (PLAIN, REPLACE)] == [True, False]


def test_what_the_reader_refuses_is_rejected_where_it_would_be_written() -> None:
    asked: list[tuple[str, tuple[str, ...] | None]] = []

    def refusal(key: str, columns: tuple[str, ...] | None) -> str | None:
        asked.append((key, columns))
        return None if key == "m4" else f"refusé : {key}"

    here = members(m1="a@", m2="b@")
    there = members(m1="a@", m2="c@", m3="d@", m4="e@")
    sides = Sides(MEMBER, here, there, refusal=refusal)

    plain = [verdict(sides, key, PLAIN) for key in there]
    replacing = verdict(sides, "m2", REPLACE)

    assert [outcome.verdict for outcome in plain] == ["same", "differs", "reject", "insert"]
    assert replacing == Outcome("reject", reason="refusé : m2")
    assert asked == [("m3", None), ("m4", None), ("m2", ("email",))]
