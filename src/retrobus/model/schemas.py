"""The wire: what clients may send, field by field, and what the API reference shows."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal
from unicodedata import name as name_of
from unicodedata import normalize

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from sqlalchemy import Table

from retrobus.model import patterns, tables
from retrobus.model.jsontext import BadJson, canonical, parse
from retrobus.model.wire import camel, wire_columns

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_BUT_LINES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]"
)
"""Soft hyphen, zero widths, bidirectional marks and fillers: two texts would look the same and be different."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]([01]\d|2[0-3]):\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([Ee][+-]?[0-9]{1,3})?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)+")


def _text(value: object, forbidden: re.Pattern[str]) -> object:
    if not isinstance(value, str):
        return value
    value = normalize("NFC", value)
    if forbidden.search(value):
        raise ValueError("sans caractère de contrôle")
    if not _encodable(value):
        raise ValueError("texte Unicode valide attendu")
    return value


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def one_line(value: object) -> object:
    """Text in NFC without any control character."""
    return _text(value, _CONTROL)


def visible(value: object) -> object:
    """Text without a character that no reader can see; the message names the first one."""
    found = _INVISIBLE.search(value) if isinstance(value, str) else None
    if found is not None:
        letter = found.group()
        raise ValueError(f"caractère invisible refusé : U+{ord(letter):04X} ({name_of(letter, 'sans nom')})")
    return value


def _as_typed(value: str) -> str:
    """A password that was once chosen elsewhere: in the form in which it is typed."""
    if _CONTROL.search(value):
        raise ValueError("sans caractère de contrôle")
    return value


def _lines(value: object) -> object:
    return _text(value, _CONTROL_BUT_LINES)


def _trimmed(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _key_text(value: object) -> object:
    """A parc that a client sends as a number, as text: `920` and `920.0` are "920"."""
    if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > patterns.PARC_NUMBER_MAX:
        return value
    return str(int(value)) if value == int(value) else value


def _empty_is_null(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _no_json_is_null(value: object) -> object:
    """Nothing, also as clients write it when they put null into a JSON string."""
    return None if isinstance(value, str) and value.strip() in {"", "null"} else value


def _null_is_empty(value: object) -> object:
    return [] if _no_json_is_null(value) is None else value


def moment_of(value: object) -> datetime:
    """An instant from RFC 3339 or `YYYY-MM-DD` (that day, 00:00 UTC), cut to the millisecond."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not (_DAY.fullmatch(value) or _INSTANT.fullmatch(value)):
        raise ValueError("date attendue : AAAA-MM-JJ, ou RFC 3339 comme 2025-09-20T14:00:00Z")
    try:
        found = datetime.fromisoformat(value.upper().replace(" ", "T"))
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("cette date n'existe pas") from None
    if not tables.FIRST_YEAR <= found.year <= tables.LAST_YEAR:
        raise ValueError(f"année entre {tables.FIRST_YEAR} et {tables.LAST_YEAR}")
    return found.replace(microsecond=found.microsecond // 1000 * 1000)


def _number(value: object) -> Decimal:
    """A finite number; clients also send it as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise ValueError("nombre attendu")
    text = str(value).strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError("nombre attendu")
    number = Decimal(text)
    if abs(number) > 10**15:
        raise ValueError("nombre hors des limites")
    return number


def _money(value: object) -> Decimal:
    number = _number(value)
    if number != round(number, 2):
        raise ValueError("au plus deux décimales")
    return round(number, 2) + 0


def _integer(value: object) -> int:
    number = _number(value)
    if number != int(number):
        raise ValueError("nombre entier attendu")
    return int(number)


def _url(value: str) -> str:
    scheme = _SCHEME.match(value)
    if scheme and scheme.group().lower() not in {"http:", "https:"}:
        raise ValueError("adresse http ou https attendue")
    return value


def _no_dots(value: str) -> str:
    if value in {".", ".."}:
        raise ValueError("ni « . » ni « .. » : une adresse ne peut pas les nommer")
    return value


def _image(value: str) -> str:
    if value.lower().startswith("data:"):
        if not value.startswith("data:image/"):
            raise ValueError("image attendue : data:image/…")
        return value
    if len(value) > tables.URL:
        raise ValueError(f"au plus {tables.URL} caractères (une image en data:image/… peut être plus longue)")
    return _url(value)


def _parsed(value: object) -> object:
    """JSON, also when it comes as a string."""
    if not isinstance(value, str):
        return value
    try:
        return parse(value.encode())
    except (BadJson, UnicodeEncodeError):
        raise ValueError("JSON valide attendu") from None


def _sized(text: str) -> str:
    if len(text.encode()) > tables.JSON_BYTES:
        raise ValueError(f"au plus {tables.JSON_BYTES} octets de JSON")
    return text


def _object_text(value: object) -> str:
    value = _parsed(value)
    if not isinstance(value, dict):
        raise ValueError("objet JSON attendu")
    try:
        return _sized(canonical(value))
    except BadJson as error:
        raise ValueError(str(error)) from None


def _characteristics(value: object) -> str:
    value = _parsed(_null_is_empty(value))
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ValueError('liste de {"label", "value"} attendue')
    if len(value) * len(_EMPTY_PAIR) > tables.JSON_BYTES:
        raise ValueError(f"au plus {tables.JSON_BYTES} octets de JSON")
    kept = [{name: _characteristic(item.get(name)) for name in ("label", "value")} for item in value]
    return _sized(canonical(kept))


_EMPTY_PAIR = '{"label": "", "value": ""}'


def _characteristic(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | dict | list):
        raise ValueError("label et value sont des textes")
    return str(_lines(str(value)))


def _gallery(value: object) -> str:
    value = _parsed(_null_is_empty(value))
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("liste d'adresses d'images attendue")
    if len(value) > tables.GALLERY_ENTRIES:
        raise ValueError(f"au plus {tables.GALLERY_ENTRIES} images")
    return canonical([_image(str(one_line(item))) for item in value])


def _permissions(value: object) -> str:
    value = _parsed(_null_is_empty(value))
    if not isinstance(value, list) or len(value) > tables.PERMISSIONS:
        raise ValueError(f"liste d'au plus {tables.PERMISSIONS} textes attendue")
    if not all(isinstance(item, str) and len(item) <= tables.SHORT for item in value):
        raise ValueError(f"textes d'au plus {tables.SHORT} caractères attendus")
    return _sized(canonical([one_line(item) for item in value]))


_NULLABLE = BeforeValidator(_empty_is_null)
_LINE = BeforeValidator(one_line)
_SEEN = BeforeValidator(visible)


def _schema(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema, mode="validation")


_DATE_SCHEMA = _schema(
    type="string",
    pattern=patterns.MOMENT,
    description=f"RFC 3339 or YYYY-MM-DD, years {tables.FIRST_YEAR} to {tables.LAST_YEAR}, kept to the millisecond.",
    examples=["2025-09-20T14:00:00.000Z", "2025-09-20"],
)
_MONEY_SCHEMA = _schema(type="number", minimum=0, maximum=tables.MONEY_MAX, multipleOf=0.01)


def _like(pattern: str) -> Any:
    """What the reference says of a text besides its length."""
    return Field(json_schema_extra={"pattern": pattern})


Short = Annotated[str, StringConstraints(max_length=tables.SHORT), _like(patterns.LINE), _LINE]
Matricule = Annotated[
    str, StringConstraints(max_length=tables.SHORT), _like(patterns.MATRICULE), BeforeValidator(_trimmed), _SEEN, _LINE
]
Email = Annotated[
    str,
    StringConstraints(min_length=1, max_length=tables.SHORT),
    _like(patterns.EMAIL),
    BeforeValidator(_trimmed),
    _SEEN,
    _LINE,
]
Title = Annotated[
    str,
    StringConstraints(max_length=tables.TITLE, min_length=1),
    _like(patterns.FILLED_LINE),
    BeforeValidator(_trimmed),
    _LINE,
]
Long = Annotated[str, StringConstraints(max_length=tables.LONG), _like(patterns.LINES), BeforeValidator(_lines)]
Url = Annotated[str, StringConstraints(max_length=tables.URL), _like(patterns.ADDRESS), AfterValidator(_url), _LINE]
_IMAGE_SCHEMA = _schema(
    anyOf=[
        {"type": "string", "maxLength": tables.URL, "pattern": patterns.ADDRESS},
        {"type": "string", "pattern": patterns.IMAGE_DATA},
    ],
    description=f"An address of at most {tables.URL} characters, or the image itself as data:image/… of any length.",
)
Image = Annotated[str, _IMAGE_SCHEMA, AfterValidator(_image), _LINE]
Parc = Annotated[
    str,
    StringConstraints(min_length=1, max_length=tables.PARC, pattern=r"^[^/]+$"),
    _schema(**patterns.PARC_KEY | patterns.OR_INTEGER),
    BeforeValidator(_trimmed),
    _SEEN,
    _LINE,
    BeforeValidator(_key_text),
]
EventId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=tables.KEY, pattern=patterns.EVENT_ID),
    _schema(**patterns.EVENT_KEY),
    AfterValidator(_no_dots),
]
Moment = Annotated[datetime, _DATE_SCHEMA, BeforeValidator(moment_of)]
Money = Annotated[Decimal, Field(ge=0, le=tables.MONEY_MAX), _MONEY_SCHEMA, BeforeValidator(_money)]
Fuel = Annotated[float, Field(ge=0, le=tables.FUEL_MAX), BeforeValidator(lambda value: float(_number(value)))]
Mileage = Annotated[float, Field(ge=0, le=tables.MILEAGE_MAX), BeforeValidator(lambda value: float(_number(value)))]
Participants = Annotated[int, Field(ge=0, le=tables.PARTICIPANTS_MAX), BeforeValidator(_integer)]
Time = Annotated[str, StringConstraints(pattern=patterns.TIME)]
Password = Annotated[str, StringConstraints(min_length=10, max_length=tables.SHORT), _like(patterns.LINE), _LINE]
Proof = Annotated[
    str, StringConstraints(min_length=1, max_length=1000), _like(patterns.LINE), AfterValidator(_as_typed)
]

_BYTES = f"At most {tables.JSON_BYTES} bytes of JSON."
_ANY_OBJECT = _schema(
    type="object",
    propertyNames={"pattern": patterns.STORABLE},
    additionalProperties=True,
    description=f"{_BYTES} The JSON text of the object, as answers hold it, is taken too.",
    examples=[{"isVisible": True}],
)
_PAIR_TEXT = {"type": ["string", "number", "null"], "pattern": patterns.LINES}
_PAIRS = _schema(
    type="array",
    items={"type": "object", "properties": {"label": _PAIR_TEXT, "value": _PAIR_TEXT}},
    description=_BYTES,
)
_IMAGES = _schema(type="array", items=_IMAGE_SCHEMA.json_schema, maxItems=tables.GALLERY_ENTRIES)
_NAMES = _schema(
    type="array",
    items={"type": "string", "maxLength": tables.SHORT, "pattern": patterns.LINE},
    maxItems=tables.PERMISSIONS,
    description=_BYTES,
)
Extras = Annotated[str, _ANY_OBJECT, BeforeValidator(_object_text)]
Caracteristiques = Annotated[str, _PAIRS, BeforeValidator(_characteristics)]
Gallery = Annotated[str, _IMAGES, BeforeValidator(_gallery)]
Permissions = Annotated[str, _NAMES, BeforeValidator(_permissions)]
Role = Annotated[Short, WithJsonSchema({"type": "string", "enum": list(tables.ROLES)}, mode="validation")]
"""Whether a role may be given is decided beside the row: old data brought along others, which may stay."""


class Wire(BaseModel):
    """What a client sends: camelCase names, exact types, unknown keys ignored, a missing key means unchanged."""

    model_config = ConfigDict(
        alias_generator=camel, strict=True, extra="ignore", allow_inf_nan=False, validate_default=False
    )


UNCHANGED: Any = Field(default_factory=lambda: None)
"""A field that the client need not send. The schema tells no default: a generated client would send it as a value."""


class EventChange(Wire):
    """Fields of an event that a client may change."""

    title: Title = UNCHANGED
    date: Moment = UNCHANGED
    time: Annotated[Time | None, _NULLABLE] = UNCHANGED
    location: Annotated[Short | None, _NULLABLE] = UNCHANGED
    description: Annotated[Long | None, _NULLABLE] = UNCHANGED
    hello_asso_url: Annotated[Url | None, _NULLABLE] = UNCHANGED
    layout: Annotated[Short | None, _NULLABLE] = UNCHANGED
    adult_price: Annotated[Money | None, _NULLABLE] = UNCHANGED
    child_price: Annotated[Money | None, _NULLABLE] = UNCHANGED
    vehicle_id: Annotated[Parc | None, _NULLABLE] = UNCHANGED
    status: Literal["DRAFT", "PUBLISHED", "ARCHIVED"] = UNCHANGED
    extras: Annotated[Extras | None, BeforeValidator(_no_json_is_null)] = UNCHANGED
    max_participants: Annotated[Participants | None, _NULLABLE] = UNCHANGED


class EventCreation(EventChange):
    """A new event: title and date are needed, the id is the client's or ours."""

    id: Annotated[EventId | None, _NULLABLE] = UNCHANGED
    title: Title
    date: Moment


class VehicleChange(Wire):
    """Fields of a vehicle that a client may change."""

    type: Short = UNCHANGED
    modele: Short = UNCHANGED
    marque: Annotated[Short | None, _NULLABLE] = UNCHANGED
    subtitle: Annotated[Short | None, _NULLABLE] = UNCHANGED
    immat: Annotated[Short | None, _NULLABLE] = UNCHANGED
    etat: Short = UNCHANGED
    mise_en_circulation: Annotated[Moment | None, _NULLABLE] = UNCHANGED
    energie: Annotated[Short | None, _NULLABLE] = UNCHANGED
    description: Annotated[Long | None, _NULLABLE] = UNCHANGED
    history: Annotated[Long | None, _NULLABLE] = UNCHANGED
    caracteristiques: Caracteristiques = UNCHANGED
    gallery: Gallery = UNCHANGED
    background_image: Annotated[Image | None, _NULLABLE] = UNCHANGED
    background_position: Annotated[Short | None, _NULLABLE] = UNCHANGED
    is_public: bool = UNCHANGED
    fuel: Annotated[Fuel | None, _NULLABLE] = UNCHANGED
    mileage: Annotated[Mileage | None, _NULLABLE] = UNCHANGED


class VehicleCreation(VehicleChange):
    """A new vehicle: its parc number is needed."""

    parc: Parc


class OwnChange(Wire):
    """Fields of their own record that members may change."""

    phone: Annotated[Short | None, _NULLABLE] = UNCHANGED
    address: Annotated[Short | None, _NULLABLE] = UNCHANGED
    city: Annotated[Short | None, _NULLABLE] = UNCHANGED
    postal_code: Annotated[Short | None, _NULLABLE] = UNCHANGED
    birth_date: Annotated[Moment | None, _NULLABLE] = UNCHANGED
    newsletter: bool = UNCHANGED


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class MemberChange(OwnChange):
    """Fields of a member that a manager may change."""

    first_name: Short = UNCHANGED
    last_name: Short = UNCHANGED
    email: Email = UNCHANGED
    member_number: Annotated[Short | None, _NULLABLE] = UNCHANGED
    matricule: Annotated[Matricule | None, _NULLABLE] = UNCHANGED
    membership_type: Literal["STANDARD", "FAMILY", "STUDENT", "HONORARY", "LIFETIME", "BIENFAITEUR"] = UNCHANGED
    membership_status: Literal["PENDING", "ACTIVE", "EXPIRED", "SUSPENDED", "CANCELLED"] = UNCHANGED
    membership_start_date: Annotated[Moment | None, _NULLABLE] = UNCHANGED
    membership_end_date: Annotated[Moment | None, _NULLABLE] = UNCHANGED
    payment_amount: Annotated[Money | None, _NULLABLE] = UNCHANGED
    payment_method: Annotated[
        Literal["CASH", "CHECK", "CARD", "TRANSFER", "BANK_TRANSFER", "HELLOASSO", "PAYPAL"] | None, _NULLABLE
    ] = UNCHANGED
    has_linked_access: bool = UNCHANGED
    notes: Annotated[Long | None, _NULLABLE] = UNCHANGED
    role: Role = UNCHANGED
    status: Annotated[Literal["active", "terminated", "disabled"], BeforeValidator(_lowered)] = UNCHANGED
    permissions: Permissions = UNCHANGED
    password: Annotated[Password | None, _NULLABLE, Field(json_schema_extra={"writeOnly": True})] = UNCHANGED


class MemberCreation(MemberChange):
    """A new member: the e-mail is needed."""

    email: Email


AccountName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=tables.SHORT),
    _like(patterns.FILLED_NAME),
    _SEEN,
    _LINE,
    BeforeValidator(_trimmed),
]
"""What a person types to say which account is theirs."""


class Login(Wire):
    """E-mail (or matricule) and password."""

    email: AccountName
    password: Proof


class MemberLogin(Wire):
    """Exact matricule or e-mail, and password."""

    identifier: AccountName
    password: Proof


class PasswordChange(Wire):
    """The password as it is and as it shall be."""

    current_password: Proof
    new_password: Password


@lru_cache
def known_names(table: Table) -> frozenset[str]:
    """Every wire name of a table's row, read-only ones included."""
    return frozenset(camel(column.name) for column in wire_columns(table))
