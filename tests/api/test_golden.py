"""The wire, byte for byte: what clients are answered today is in golden/, and changes only on purpose."""

import re
from pathlib import Path

import pytest

from builders import Body
from harness import Api, Person
from operations import ACCOUNT, PASSWORD, caller_password_hash
from rows import create

GOLDEN = Path(__file__).parent / "golden"
STAMPS = (
    (re.compile(r'("(?:createdAt|updatedAt)":)"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z"'), r'\1"<instant>"'),
    (re.compile(r'("version":)\d+'), r'\1"<version>"'),
    (re.compile(r'("token": )"[^"]+"'), r'\1"<token>"'),
)
"""What differs from run to run, and what stands for it in golden/."""

FULL_VEHICLE: Body = {
    "parc": "920", "type": "Bus articulé", "marque": "Mercedes-Benz", "modele": "Citaro « G »",
    "subtitle": 'Le "premier"', "immat": "WW-920-RB", "etat": "préservé", "miseEnCirculation": "2001-07-01",
    "energie": "Diesel", "description": "Trois portes,\nrampe d’accès\t★ 🚌", "history": "\\ / é",
    "caracteristiques": [{"label": "Longueur", "value": "11,95 m"}, {"value": 31, "label": "Places"}],
    "gallery": ["https://images.example.org/920/avant.jpg"], "backgroundImage": "data:image/png;base64,iVBORw0KGgo=",
    "backgroundPosition": "center 40%", "isPublic": True, "fuel": 62.5, "mileage": 684213,
}  # fmt: skip
FULL_EVENT: Body = {
    "id": "sortie-2026", "title": "Sortie « printemps »", "date": "2026-05-01T11:30:00.25+02:00", "time": "11:30",
    "location": "Dépôt", "description": "Ligne 1\r\nLigne 2", "helloAssoUrl": "https://example.org/don?a=1&b=é",
    "layout": "carte", "adultPrice": 12.5, "childPrice": "0", "vehicleId": "920", "status": "PUBLISHED",
    "extras": {"isVisible": True, "éa": [1, 2.50, None, '"\\'], "b": {}}, "maxParticipants": 40,
}  # fmt: skip
FULL_MEMBER: Body = {
    "firstName": "Camille", "lastName": "D’Exemple", "email": "camille@example.org", "phone": "+33 1 99 00 00 00",
    "address": "1 rue du Dépôt", "city": "Lyon", "postalCode": "69000", "birthDate": "1961-02-03",
    "memberNumber": "2026-001", "matricule": "RB-1", "membershipType": "FAMILY", "membershipStatus": "ACTIVE",
    "membershipStartDate": "2026-01-01", "membershipEndDate": "2026-12-31T23:59:59.999Z", "paymentAmount": "30.10",
    "paymentMethod": "HELLOASSO", "newsletter": False, "hasLinkedAccess": True, "notes": "Permis D",
    "role": "DRIVER", "permissions": ["events", "é"], "password": PASSWORD,
}  # fmt: skip


@pytest.fixture
def collection(api: Api) -> Person:
    """One row of each kind with every field said and one with none, and the ADMIN who made them."""
    api.sql("ALTER TABLE vehicle ALTER id RESTART")
    admin = api.person("ADMIN", id="admin", email=ACCOUNT, password_hash=caller_password_hash())
    made = {"vehicles": [FULL_VEHICLE, {"parc": "921"}], "events": [FULL_EVENT, {"id": "vide", "title": "Rien"}]}
    for kind, bodies in made.items():
        for body in bodies:
            create(api, admin, kind, **body)
    answer = api.post("/api/members", json=FULL_MEMBER, headers={**admin.headers, "Idempotency-Key": "camille"})
    assert answer.status_code == 201
    return admin


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("vehicle", "/api/vehicles/920"),
        ("other_vehicle", "/api/vehicles/921"),
        ("vehicle_list", "/api/vehicles"),
        ("public_vehicle", "/public/vehicles/920"),
        ("public_vehicle_list", "/public/vehicles"),
        ("event", "/api/events/sortie-2026"),
        ("empty_event", "/api/events/vide"),
        ("event_list", "/api/events"),
        ("event_list_first_page", "/api/events?limit=1"),
        ("public_event", "/public/events/sortie-2026"),
        ("public_event_list", "/public/events"),
        ("public_vehicle_event_list", "/public/vehicles/920/events"),
        ("member", "/api/members/3db4645a-6a82-8c93-b8a8-09a2a83ee559"),
        ("member_list", "/api/members"),
        ("own_member", "/api/members/me"),
        ("me", "/api/auth/me"),
    ],
)
def test_an_answer_is_the_same_to_the_byte(api: Api, collection: Person, name: str, path: str) -> None:
    answer = api.get(path, headers=collection.headers)

    assert still(answer.text) == golden(name)


def test_the_answer_to_a_login_is_the_same_to_the_byte(api: Api, collection: Person) -> None:
    answer = api.post("/api/auth/login", json={"email": ACCOUNT, "password": PASSWORD})

    assert answer.json()["user"]["id"] == collection.id
    assert still(answer.text) == golden("login")


def still(text: str) -> str:
    """The answer without what differs from run to run."""
    for pattern, replacement in STAMPS:
        text = pattern.sub(replacement, text)
    return text


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.json").read_text(encoding="utf-8")
