"""A token is believed only if it is exactly what we sign; a request without one costs Postgres nothing."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import RULES, SECRET, TOKENS, Api, Person, free_port, served, settings_for
from raw_http import exchange, head
from retrobus.accounts.tokens import LEEWAY, LONGEST_LIFE, LONGEST_TOKEN, BadToken, TokenRules, Tokens
from routes import KEYED, LISTS, WRITES, assert_refused

OTHER = "another-secret-that-this-service-does-not-know"
ROW = {"id": "camille", "role": "ADMIN", "token_epoch": 0}
YEARS = 300 * 365 * 86_400
REQUIRED = ("exp", "iat", "nbf", "iss", "aud", "sub", "jti", "typ", "role", "epoch")


def claims(**changed: Any) -> dict[str, Any]:
    """What a good token of ROW says, but for what is changed; None takes a claim away."""
    now = int(time.time())
    good = {"iss": "retrobus", "aud": "retrobus-api", "sub": "camille", "jti": "a", "iat": now, "nbf": now,
            "exp": now + 600, "typ": "access", "role": "ADMIN", "epoch": 0}  # fmt: skip
    return {name: value for name, value in (good | changed).items() if value is not None}


def part(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def signed(payload: Any, header: Any = None, secret: str = SECRET) -> str:
    """A token as any JSON text, also of what no library would sign."""
    start = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(payload)}"
    mark = hmac.new(secret.encode(), start.encode(), hashlib.sha256).digest()
    return f"{start}.{base64.urlsafe_b64encode(mark).decode().rstrip('=')}"


def with_text(payload: dict[str, Any], name: str, text: str) -> str:
    """The payload with one claim written as this JSON text."""
    return json.dumps(payload | {name: "@"}).replace('"@"', text)


def saying(**changed: Any) -> str:
    """A token signed by us, good but for these claims."""
    return signed(claims(**changed))


def forged() -> dict[str, str]:
    """Tokens with one fault each, made now: an hour later, a token for the hour to come would be good."""
    now = int(time.time())
    return {
        "another secret": signed(claims(), secret=OTHER), "no signature": saying().rpartition(".")[0] + ".",
        "alg none": f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims())}.",
        "alg None, signed": signed(claims(), {"alg": "None"}), "alg missing": signed(claims(), {"typ": "JWT"}),
        "alg HS512": jwt.encode(claims(), SECRET * 2, algorithm="HS512"),
        "alg a list": signed(claims(), {"alg": ["HS256"]}), "alg null": signed(claims(), {"alg": None}),
        "header a list": signed(claims(), ["HS256"]), "header no JSON": signed(claims(), "x"),
        "header twice": signed(claims(), '{"alg": "HS256", "typ": "JWT", "alg": "HS256"}'),
        "header deep": signed(claims(), "[" * 900),
        "header typ of a refresh token": signed(claims(), {"alg": "HS256", "typ": "refresh+jwt"}),
        "header typ of a logout token": signed(claims(), {"alg": "HS256", "typ": "logout+jwt"}),
        "header typ missing": signed(claims(), {"alg": "HS256"}),
        "header typ null": signed(claims(), {"alg": "HS256", "typ": None}),
        "header typ a list": signed(claims(), {"alg": "HS256", "typ": ["JWT"]}),
        "crit": signed(claims(), {"alg": "HS256", "typ": "JWT", "crit": ["x"], "x": 1}),
        "payload a list": signed([claims()]),
        "payload no JSON": signed("x"), "payload empty": signed({}), "payload cut": signed('{"sub": "camille"'),
        "two payloads": signed("{}{}"), "payload deep": signed("[" * 900 + "]" * 900),
        "another typ": saying(typ="refresh"),
        "a claim twice": signed(json.dumps(claims())[:-1] + ', "sub": "camille"}'),
        "a claim twice inside": signed(json.dumps(claims())[:-1] + ', "x": {"a": 1, "a": 2}}'),
        "typ a list": saying(typ=["access"]), "exp a text": saying(exp=str(now + 600)), "exp true": saying(exp=True),
        "exp a fraction": saying(exp=now + 600.5), "exp a list": saying(exp=[now + 600]),
        "exp huge": saying(exp=10**30),
        "exp NaN": signed(with_text(claims(), "exp", "NaN")), "exp 1e400": signed(with_text(claims(), "exp", "1e400")),
        "exp past": saying(iat=now - 900, nbf=now - 900, exp=now - 300), "exp in 300 years": saying(exp=now + YEARS),
        "exp after a day": saying(exp=now + LONGEST_LIFE + 60), "iat a text": saying(iat=str(now)),
        "300 years from then": saying(iat=now + YEARS, exp=now + YEARS + 600), "iat of long ago": saying(iat=0),
        "iat negative": saying(iat=-(10**30)), "nbf in an hour": saying(nbf=now + 3600, exp=now + 7200),
        "nbf a text": saying(nbf=str(now)), "another iss": saying(iss="other"), "iss a list": saying(iss=["retrobus"]),
        "another aud": saying(aud="other"), "aud of others": saying(aud=["other", "site"]),
        "aud a number": saying(aud=1),
        "sub empty": saying(sub=""), "sub a number": saying(sub=12), "sub with NUL": saying(sub="a\0"),
        "sub half a letter": signed(with_text(claims(), "sub", r'"\ud800"')), "jti empty": saying(jti=""),
        "jti a number": saying(jti=1), "epoch a text": saying(epoch="0"), "epoch true": saying(epoch=True),
        "epoch too large": saying(epoch=2**31), "epoch huge": saying(epoch=10**30), "epoch negative": saying(epoch=-1),
        "role a list": saying(role=["ADMIN"]), "role empty": saying(role=""), "too long": saying(x="x" * LONGEST_TOKEN),
        **{f"no {name}": saying(**{name: None}) for name in REQUIRED},
    }  # fmt: skip


@pytest.mark.parametrize("fault", forged())
def test_a_token_is_refused_for(api: Api, fault: str) -> None:
    api.person("ADMIN", id="camille")
    token = forged()[fault]

    for _ in range(2):
        answer = api.get("/api/events", headers={"Authorization": f"Bearer {token}"})

        assert_refused(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert token not in answer.text


def test_the_same_token_without_the_fault_is_believed(api: Api) -> None:
    api.person("ADMIN", id="camille")

    now = int(time.time())
    tokens = [saying(), saying(aud=["retrobus-api", "site"]), saying(exp=now + LONGEST_LIFE - 60),
              saying(nbf=now + 5, iat=now + 5), saying(extra={"a": [1]}),
              *(signed(claims(), {"alg": "HS256", "typ": typ}) for typ in ("jwt", "at+jwt", "application/AT+JWT")),
              ]  # fmt: skip

    for token in tokens:
        assert api.get("/api/members", headers={"Authorization": f"bearer  {token}"}).status_code == 200


@pytest.mark.parametrize("name", ["kid", "jku", "jwk", "x5u", "x5c"])
def test_no_header_of_a_token_chooses_its_key(api: Api, name: str) -> None:
    api.person("ADMIN", id="camille")
    key = {"kty": "oct", "k": part(OTHER)} if name == "jwk" else f"http://127.0.0.1:{free_port()}/key"
    header = {"alg": "HS256", "typ": "JWT", name: key}

    ours, theirs = (signed(claims(), header, secret) for secret in (SECRET, OTHER))

    assert api.get("/api/me", headers={"Authorization": f"Bearer {ours}"}).status_code == 200
    assert api.get("/api/me", headers={"Authorization": f"Bearer {theirs}"}).status_code == 401


def test_a_former_secret_verifies_and_signs_no_more() -> None:
    before = Tokens(TokenRules((OTHER,), "retrobus", "retrobus-api", 600))
    after = Tokens(TokenRules((SECRET, OTHER), "retrobus", "retrobus-api", 600))

    assert after.verify(before.issue(ROW)[0]).id == "camille"
    assert TOKENS.verify(after.issue(ROW)[0]).id == "camille"
    with pytest.raises(BadToken):
        before.verify(after.issue(ROW)[0])


@pytest.mark.parametrize("ttl", [1, 600, LONGEST_LIFE, LONGEST_LIFE + 1, YEARS])
def test_no_token_lives_longer_than_a_day(ttl: int) -> None:
    token, life = Tokens(RULES).issue(ROW, ttl)

    said = jwt.decode(token, options={"verify_signature": False})

    assert life == said["exp"] - said["iat"] == min(ttl, LONGEST_LIFE)
    assert Tokens(RULES).verify(token).id == "camille"


class Clock(datetime):
    """The clock of the library that verifies tokens, which the test puts ahead."""

    ahead = timedelta(0)

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # a plain datetime is enough
        return datetime.now(tz) + cls.ahead

    @classmethod
    def time(cls) -> float:  # type: ignore[override]  # as the module `time` has it
        return cls.now().timestamp()


def test_a_token_that_was_believed_is_not_believed_after_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, token = Tokens(RULES), saying()
    monkeypatch.setattr("jwt.api_jwt.datetime", Clock)
    monkeypatch.setattr("retrobus.accounts.tokens.time", Clock)
    assert tokens.verify(token).id == "camille"

    monkeypatch.setattr(Clock, "ahead", timedelta(seconds=600 + LEEWAY + 1))

    with pytest.raises(BadToken, match="expiré"):
        tokens.verify(token)


@settings(max_examples=150)
@given(
    st.text(max_size=60)
    | st.binary(max_size=60).map(lambda raw: signed(claims()).rsplit(".", 1)[0] + "." + part(raw.hex()))
)
def test_no_text_breaks_the_verification(token: str) -> None:
    with pytest.raises(BadToken):
        TOKENS.verify(token)


BAD_HEADERS = (
    b"", b"Bearer", b"Bearer ", b"Basic YTpi", b"Bearer: x", b"Token x", b"Bearer x y", b"Bearer\tx", b"\xff",
    b"Bearer \xff\xfe", b"Bearer a.b.c", b"Bearer ..", b"Bearer " + b"." * 4000, b"Bearer null", b"Bearer undefined",
)  # fmt: skip


@pytest.fixture(scope="module")
def blind() -> Iterator[Api]:
    """A service whose Postgres cannot be reached: whatever needs it is answered 503."""
    url = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    with served(settings_for(url), url) as api:
        yield api


@pytest.mark.parametrize("header", BAD_HEADERS, ids=repr)
def test_a_malformed_authorization_is_refused_without_asking_postgres(blind: Api, header: bytes) -> None:
    answer = exchange(blind, head("GET", b"/api/me", None, b"Authorization: " + header))

    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")


def _routes() -> list[tuple[str, str]]:
    writes = [(write.method, write.path) for write in WRITES if "login" not in write.path]
    keyed = [(method, path.format("x", "1")) for method, path in (route.split(" ") for route in KEYED)]
    lists = [("GET", path) for path in (*LISTS, "/api/me", "/api/auth/me", "/api/members/me")]
    return [(method, path) for method, path in (*writes, *keyed, *lists) if not path.startswith("/public")]


@pytest.mark.parametrize(("method", "path"), _routes())
def test_no_refused_request_costs_postgres_anything(blind: Api, method: str, path: str) -> None:
    none = blind.request(method, path)
    forged = blind.request(method, path, headers={"Authorization": f"Bearer {signed(claims(), secret=OTHER)}"})

    assert_refused(none, 401, "unauthenticated")
    assert_refused(forged, 401, "unauthenticated")


def test_a_megabyte_of_token_is_refused_as_a_header(blind: Api) -> None:
    answer = blind.get("/api/me", headers={"Authorization": "Bearer " + "x" * (1 << 20)})

    assert_refused(answer, 431, "headers_too_large")


def test_a_token_that_is_believed_is_answered_503_there(blind: Api) -> None:
    person = Person("camille", TOKENS.issue(ROW)[0])

    answer = blind.get("/api/events", headers=person.headers)

    assert_refused(answer, 503, "database_unavailable")
