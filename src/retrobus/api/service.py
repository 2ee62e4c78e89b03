"""What the application hands to the routes: the store, the tokens, the throttle of logins, the limits, the metrics."""

from dataclasses import dataclass

from retrobus.accounts.security import Tokens
from retrobus.accounts.throttle import Throttle
from retrobus.metrics import Metrics
from retrobus.store.contract import Store


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that a request body may have: any body, and one that may hold images."""

    body: int
    image_body: int


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running service that routes use."""

    store: Store
    tokens: Tokens
    throttle: Throttle
    limits: Limits
    metrics: Metrics
