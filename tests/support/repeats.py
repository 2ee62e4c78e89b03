"""Writes sent with an Idempotency-Key, and what their repeats must have in common."""

import httpx

from harness import Api, Person

KEY = "0f3b2c1e-demande-1"


def keyed(who: Person, key: str = KEY) -> dict[str, str]:
    return {**who.headers, "Idempotency-Key": key}


def same(first: httpx.Response, second: httpx.Response) -> bool:
    names = ("ETag", "Location", "Content-Type", "X-Data-Source")
    headers = [[answer.headers.get(name) for name in names] for answer in (first, second)]
    return (first.status_code, first.content, headers[0]) == (second.status_code, second.content, headers[1])


def count(api: Api, table: str) -> int:
    found: int = api.sql(f"SELECT count(*) FROM {table}")[0][0]
    return found
