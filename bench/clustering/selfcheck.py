"""The negative control: rows that are changed behind the service's back must be found, each with its kind."""

from checking.tags import Tags
from clustering.history import Row, judge
from clustering.nodes import Node


class NotCaught(Exception):
    """The comparison missed a planted error, so its other results cannot be trusted."""


def _row(name: str, *steps: tuple[str, str | None]) -> Row:
    row = Row(name)
    for step, state in steps:
        getattr(row, step)(state)
    return row


def check_the_judge() -> None:
    """NotCaught if a history with planted errors passes, or one without errors does not."""
    right = [
        _row("kept", ("acknowledged", "a"), ("unknown", "b")),
        _row("gone", ("acknowledged", "a"), ("acknowledged", None)),
        _row("unsure", ("unknown", "a"), ("not_applied", "a")),
    ]
    final = {"kept": ["b"], "unsure": ["a"]}
    wrong = {
        "lost": _row("lost", ("acknowledged", "a"), ("not_applied", None)),
        "resurrected": _row("back", ("acknowledged", "a"), ("acknowledged", None)),
        "duplicate": _row("twice", ("acknowledged", "a")),
        "not_applied yet applied": _row("denied", ("not_applied", "a")),
    }
    if found := +judge(right, final, set()).counts:
        raise NotCaught(f"a history without errors is judged {dict(found)}")
    planted = final | {"back": ["a"], "twice": ["a", "a"], "denied": ["a"]}
    counts = judge([*right, *wrong.values()], planted, set()).counts
    if dict(counts) != dict.fromkeys(wrong, 1):
        raise NotCaught(f"planted: one of each of {list(wrong)}; judged: {dict(counts)}")
    tags = Tags()
    for tag, name, content in (("1", "a", "x"), ("1", "a", "y"), ("2", "a", "z"), ("2", "b", "z"), ("3", "a", "x")):
        tags.seen(tag, name, content)
    if (tags.repeated(), tags.lies()) != (2, 1):
        raise NotCaught(f"planted: two repeated ETags, one of them on one row; judged {tags.repeated()}, {tags.lies()}")


def plant(leader: Node, rows: list[Row]) -> None:
    """Removes one acknowledged row from the final database, brings a deleted one back, and doubles a third."""
    kept = [row for row in rows if len(row.possible) == 1 and None not in row.possible][:2]
    gone = next(row for row in rows if row.possible == {None} and len(row.story) > 1)
    leader.sql("DELETE FROM event WHERE location = $1", kept[0].name)
    for key, name in (("planted-1", gone.name), ("planted-2", kept[1].name)):
        leader.sql("INSERT INTO event (id, title, date, location) VALUES ($1, 'old', now(), $2)", key, name)


PLANTED = {"lost": 1, "resurrected": 1, "duplicate": 1}
