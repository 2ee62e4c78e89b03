"""Ids of new rows: ordered by time, or derived from the Idempotency-Key, so that a repeat makes no second row."""

import hashlib
import secrets
import time
from uuid import UUID


def new_id(member_id: str, key: str | None) -> str:
    """A UUIDv7; with an Idempotency-Key a UUIDv8 that depends on the member and the key alone."""
    if key is not None:
        digest = hashlib.sha256(f"{member_id}\n{key}".encode()).digest()
        return str(_stamped(int.from_bytes(digest[:16]), version=8))
    return str(_stamped(time.time_ns() // 1_000_000 << 80 | secrets.randbits(80), version=7))


def _stamped(number: int, version: int) -> UUID:
    number = number & ~(0xF << 76) | version << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)
