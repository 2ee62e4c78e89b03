"""The declaration of a route: said once, the service acts on it and the OpenAPI document repeats it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrobus.api.answers import Answer
from retrobus.api.bodies import Body
from retrobus.api.queries import Parameter
from retrobus.api.rights import ANYONE, Rights


@dataclass(frozen=True)
class Route:
    """What a route is: its address, who may call it, what it answers and takes.

    `asks` has the schemas of query parameters that the route's function reads by itself. A route that changes something
    takes an Idempotency-Key unless `keyed` is false, and If-Match unless `if_match` is false. `journaled` is false for
    a write that memory never takes and that looks at no row's version: no 202, no 412. `errors` are statuses with which
    the route's function answers by itself. `name` is the operationId, the function's name unless it is given.
    """

    method: str
    path: str
    rights: Rights
    answer: Answer
    body: Body | None = None
    filters: tuple[Parameter, ...] = ()
    asks: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    if_match: bool = True
    keyed: bool = True
    journaled: bool = True
    errors: tuple[int, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        if self.filters and not (self.answer.paged or self.answer.file):
            raise ValueError(f"{self.method} {self.path}: filters are read for lists alone")

    @property
    def writes(self) -> bool:
        """Whether the route changes rows; a login changes none, nor does a backup."""
        return self.method != "GET" and self.rights is not ANYONE and self.keyed

    @property
    def conditional(self) -> bool:
        """Whether If-Match means something: a row that is created has no earlier version."""
        return self.writes and self.if_match and not self.answer.created

    @property
    def names_row(self) -> bool:
        """Whether the client or its token names a row to read or write, which may not exist."""
        return "{" in self.path or bool(self.body and self.body.key) or (self.method == "GET" and self.answer.row)
