"""Every field of every resource refuses what its column could not hold, on every route that writes it."""

import json
import re

import pytest

from harness import Api
from routes import MEMBER, WRITES, Write, assert_refused, everything, send, stocked

Values = tuple[object, ...]
NOT_FOR_PEOPLE = re.compile(r"[\^$\\\[\]*]|\b(?:should|must|input|string|expected|or)\b|valeur refusée")
"""A regular expression, a library's English, or a refusal that gives no reason."""

ECHO = "kilroy"
"""Is in every bad text: no answer may hold it."""

NOT_TEXT: Values = (1, 1.5, True, [], [ECHO], {ECHO: 1})
CONTROL = (f"{ECHO}\0", f"{ECHO}\x1b", f"{ECHO}\x9f")
LINE = (*NOT_TEXT, *CONTROL, f"{ECHO}\n", f"{ECHO}\u2028")
MOMENT: Values = (
    0, 1_700_000_000, 1_700_000_000_000, 1.5, True, [], {}, ECHO, "1700000000", "2026", "2026-05", "2026-W18-5",
    "01/05/2026", "20260501", "2026-02-30", "2026-13-01", "2026-05-01T09:30:00", "2026-05-01T24:00:00Z",
    "2026-05-01T09:30:60Z", "2016-12-31T23:59:60Z", "2026-05-01T09:30:00+24:00", "2026-05-01T09:30:00 +02:00",
    "1799-12-31T23:59:59.999Z", "1800-01-01T00:00:00+00:01", "2201-01-01", "2200-12-31T23:59:59-00:01",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "10000-01-01", "-0001-01-01", "+2026-05-01",
    "2026-05-01T09:30:00Z\0", "٢٠٢٦-05-01", " 2026-05-01", "now", "infinity", "epoch",
)  # fmt: skip
NUMBER: Values = (
    True, [], {}, ECHO, "NaN", "sNaN", "Infinity", "-inf", "1e400", "1e9999999", "-1e9999999",
    "1e-9999999999999999999", "1_000", "٣", "0x10", "1,5", "1 000", "9" * 5000, -1, -0.01, 10**9, 10**18, 10**290,
    1e300, 2**31, 2**63,
)  # fmt: skip
WHOLE = (*NUMBER, 1.5, "1.5", 2**32 + 1, 1_000_001)
MONEY = (*NUMBER, 0.001, "0.001", 12.345, 1_000_000.01, "1000000.001", "1e-3")
FLAG: Values = ("true", "", 0, 1, None, [], ECHO)
CHOICE: Values = (ECHO, "", None, 0, True, [], "PUBLISHED ", "PUBLISHED\0")
NULLABLE_CHOICE: Values = (ECHO, 0, True, [], "CASH\0")
OBJECT: Values = (
    1, True, [], [{}], ECHO, "[]", "1", '{"a": NaN}', '{"a": 1, "a": 2}', "{", '{"a": "\\ud800"}', {"a": "\0"},
    {"\0": 1}, '{"a": "\\u0000"}', {"a": "x" * 65_536}, '{"a": ' + "[" * 64 + "]" * 64 + "}",
)  # fmt: skip
PAIRS: Values = (
    1, True, {}, ECHO, [1], [None], [[]], '{"label": "x"}', [{"label": [], "value": ""}], [{"label": "x", "value": {}}],
    [{"label": True, "value": ""}], [{"label": f"{ECHO}\0", "value": ""}], [{"label": "x" * 65_536, "value": ""}],
)  # fmt: skip
STRINGS: Values = (1, True, {}, ECHO, [1], [None], [[ECHO]], [f"{ECHO}\0"], [f"{ECHO}\n"], [ECHO] * 101, '["a", "a"')
GALLERY = (*STRINGS, ["javascript:alert(1)"], ["x" * 2001], ["data:text/html,x"])
IMAGE = (*LINE, "x" * 2001, "javascript:alert(1)", "data:text/html;base64,eA==", "data:")


def _line(length: int) -> Values:
    return (*LINE, "x" * (length + 1), "é" * (length + 1))


SHORT, LONG = _line(200), (*NOT_TEXT, *CONTROL, "x" * 20_001)
NOT_NULL = (*SHORT, None)

OWN: dict[str, Values] = {
    **dict.fromkeys(("phone", "address", "city", "postalCode"), SHORT), "birthDate": MOMENT, "newsletter": FLAG,
}  # fmt: skip
BAD: dict[str, dict[str, Values]] = {
    "event": {
        "title": (*_line(300), None, "", "  "), "date": (*MOMENT, None, ""), "location": SHORT, "layout": SHORT,
        "time": (*NOT_TEXT, *CONTROL, "24:00", "9:30", "09:60", "09:30:00", "09:30\n", "٠٩:30"), "description": LONG,
        "helloAssoUrl": (*_line(2000), "javascript:alert(1)", "data:image/png,x"), "adultPrice": MONEY,
        "childPrice": MONEY, "maxParticipants": WHOLE, "status": CHOICE, "extras": OBJECT,
        "vehicleId": (*LINE[1:], "x" * 51, "a/b", 10**60, "inconnu", 404),
    },
    "vehicle": {
        **dict.fromkeys(("type", "modele", "etat"), NOT_NULL), "description": LONG, "history": LONG,
        **dict.fromkeys(("marque", "subtitle", "immat", "energie", "backgroundPosition"), SHORT), "isPublic": FLAG,
        "miseEnCirculation": MOMENT, "caracteristiques": PAIRS, "gallery": GALLERY, "backgroundImage": IMAGE,
        "fuel": (*NUMBER, 100.5), "mileage": NUMBER,
    },
    "own": OWN,
    "member": {
        **OWN, "firstName": NOT_NULL, "lastName": NOT_NULL, "memberNumber": SHORT, "matricule": SHORT, "notes": LONG,
        "email": (*NOT_NULL, "", ECHO, f"{ECHO}@", f"@{ECHO}", f"{ECHO}@example", f"a b@{ECHO}.org", f"a@b@{ECHO}.org"),
        "membershipType": CHOICE, "membershipStatus": CHOICE, "paymentMethod": NULLABLE_CHOICE, "status": CHOICE,
        "membershipStartDate": MOMENT, "membershipEndDate": MOMENT, "paymentAmount": MONEY, "hasLinkedAccess": FLAG,
        "role": (*NOT_NULL, "", ECHO, "admin"), "permissions": (*STRINGS, ["x" * 201]),
        "password": (*SHORT, "x" * 9),
    },
}  # fmt: skip
CREATED: dict[str, dict[str, Values]] = {
    "event": {"id": (*NOT_TEXT, *CONTROL, "x" * 101, "a/b", "a b", "é", ".", "..", "a\n")},
    "vehicle": {"parc": (*LINE[1:], "x" * 51, "a/b", "", "  ", None, 10**60)},
}
ROUTES = [write for write in WRITES if write.resource]


@pytest.mark.parametrize("write", ROUTES, ids=str)
def test_each_field_refuses_what_its_column_cannot_hold(api: Api, write: Write) -> None:
    admin = stocked(api)
    before = everything(api)
    fields = BAD[write.resource] | (CREATED.get(write.resource, {}) if write.method == "POST" else {})

    step = 1 if write.method == "POST" or write.path.endswith(MEMBER) else 4  # the other routes read by the same rules

    wrong = []
    for field, values in fields.items():
        for bad in values[::step]:
            answer = send(api, admin, write, json.dumps(write.body | {field: bad}).encode())
            try:
                assert_refused(answer, 422, "invalid", field)
                assert ECHO not in answer.text
                assert not NOT_FOR_PEOPLE.search(answer.json()["error"])
            except AssertionError as error:
                wrong.append(f"{field} = {str(bad)[:60]!r}: {str(error)[:120]}")

    assert not wrong, "\n".join(wrong)
    assert everything(api) == before
