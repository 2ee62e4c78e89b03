"""Facts about the resources: what each says of itself is what its table says."""

import unicodedata

import pytest

from retrobus.model.columns import LABEL, label_of
from retrobus.model.names import camel
from retrobus.model.resources import ALL, Resource, Unique


def uniques_of(resource: Resource) -> set[Unique]:
    """The unique indexes of the table, as columns; one over `lower(…)` ignores the case of letters."""
    found = set()
    for index in resource.table.indexes:
        if index.unique:
            written = str(index.expressions[0])
            folded = written.startswith("lower(")
            found.add(Unique(written[6:].split(maxsplit=1)[0] if folded else index.columns[0].name, folded))
    return found


@pytest.mark.parametrize("resource", ALL, ids=repr)
def test_every_unique_column_has_its_index_and_every_unique_index_is_told(resource: Resource) -> None:
    assert set(resource.unique) == uniques_of(resource)


@pytest.mark.parametrize("resource", ALL, ids=repr)
def test_every_named_column_is_there_and_the_order_of_lists_is_total(resource: Resource) -> None:
    named = {resource.key, *(step.column for step in resource.order), *resource.keep_one}
    named |= {*resource.images, *resource.private} | resource.secret | resource.machinery
    assert named <= set(resource.table.c.keys())
    assert resource.order[-1].column == resource.key


def as_typed(name: str) -> str:
    """A name as a person may type it into a spreadsheet: without accents, case and typographic signs."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(letter for letter in letters if letter.isalnum())


@pytest.mark.parametrize("resource", ALL, ids=repr)
def test_every_column_that_members_see_has_a_french_label_of_its_own(resource: Resource) -> None:
    labels = {column.name: column.info.get(LABEL, "") for column in resource.shown}

    assert {name for name, label in labels.items() if not label.strip()} == set()
    assert len({as_typed(label) for label in labels.values()}) == len(labels)


@pytest.mark.parametrize("resource", ALL, ids=repr)
def test_no_label_is_the_wire_name_of_another_column(resource: Resource) -> None:
    wire = {as_typed(camel(column.name)): column.name for column in resource.shown}

    meant = {column.name: wire.get(as_typed(label_of(column)), column.name) for column in resource.shown}

    assert meant == {column.name: column.name for column in resource.shown}
