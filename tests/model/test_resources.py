"""Facts about the resources: what each says of itself is what its table says."""

import pytest

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
