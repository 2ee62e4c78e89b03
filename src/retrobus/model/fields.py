"""The kinds of fields that clients send, each with its check and what the API reference says of it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from retrobus.model import jsonvalues, limits, patterns, quantities, texts
from retrobus.model.names import camel

T = TypeVar("T")


def _schema(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema, mode="validation")


def _like(pattern: str) -> Any:
    """What the reference says of a text besides its length."""
    return Field(json_schema_extra={"pattern": pattern})


OrNull = Annotated[T | None, BeforeValidator(texts.empty_is_null)]
"""A field that may be null; an empty text is null too."""

_LINE = BeforeValidator(texts.one_line)
_SEEN = BeforeValidator(texts.visible)
_TRIMMED = BeforeValidator(texts.trimmed)

Short = Annotated[str, StringConstraints(max_length=limits.SHORT), _like(patterns.LINE), _LINE]
Title = Annotated[
    str, StringConstraints(max_length=limits.TITLE, min_length=1), _like(patterns.FILLED_LINE), _TRIMMED, _LINE
]
Long = Annotated[str, StringConstraints(max_length=limits.LONG), _like(patterns.LINES), BeforeValidator(texts.lines)]
Time = Annotated[str, StringConstraints(pattern=patterns.TIME)]
Url = Annotated[
    str, StringConstraints(max_length=limits.URL), _like(patterns.ADDRESS), AfterValidator(texts.url), _LINE
]
_IMAGE = _schema(
    anyOf=[
        {"type": "string", "maxLength": limits.URL, "pattern": patterns.ADDRESS},
        {"type": "string", "pattern": patterns.IMAGE_DATA},
    ],
    description=f"An address of at most {limits.URL} characters, or the image itself as data:image/… of any length.",
)
Image = Annotated[str, _IMAGE, AfterValidator(texts.image), _LINE]
Parc = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.PARC, pattern=patterns.NO_SLASH),
    _schema(**patterns.PARC_KEY | patterns.OR_INTEGER),
    _TRIMMED,
    _SEEN,
    _LINE,
    BeforeValidator(texts.parc_text),
]
EventId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=limits.KEY, pattern=patterns.EVENT_ID),
    _schema(**patterns.EVENT_KEY),
    AfterValidator(texts.no_dots),
]
Matricule = Annotated[
    str, StringConstraints(max_length=limits.SHORT), _like(patterns.MATRICULE), _TRIMMED, _SEEN, _LINE
]
Email = Annotated[
    str, StringConstraints(min_length=1, max_length=limits.SHORT), _like(patterns.EMAIL), _TRIMMED, _SEEN, _LINE
]
AccountName = Annotated[
    str, StringConstraints(min_length=1, max_length=limits.SHORT), _like(patterns.FILLED_NAME), _SEEN, _LINE, _TRIMMED
]
"""The e-mail or matricule by which a person names an account to log in to."""

Password = Annotated[str, StringConstraints(min_length=10, max_length=limits.SHORT), _like(patterns.LINE), _LINE]
"""A new password."""

Proof = Annotated[
    str, StringConstraints(min_length=1, max_length=1000), _like(patterns.LINE), AfterValidator(texts.as_typed)
]
"""A present password."""

_MOMENT = _schema(
    type="string",
    pattern=patterns.MOMENT,
    description=f"RFC 3339 or YYYY-MM-DD, years {limits.FIRST_YEAR} to {limits.LAST_YEAR}, kept to the millisecond.",
    examples=["2025-09-20T14:00:00.000Z", "2025-09-20"],
)
_MONEY = _schema(type="number", minimum=0, maximum=limits.MONEY_MAX, multipleOf=0.01)
Instant = Annotated[datetime, _MOMENT, BeforeValidator(quantities.moment_of)]
Money = Annotated[Decimal, Field(ge=0, le=limits.MONEY_MAX), _MONEY, BeforeValidator(quantities.money)]
Fuel = Annotated[float, Field(ge=0, le=limits.FUEL_MAX), BeforeValidator(quantities.measure)]
Mileage = Annotated[float, Field(ge=0, le=limits.MILEAGE_MAX), BeforeValidator(quantities.measure)]
Participants = Annotated[int, Field(ge=0, le=limits.PARTICIPANTS_MAX), BeforeValidator(quantities.integer)]

_BYTES = f"At most {limits.JSON_BYTES} bytes of JSON."
_OBJECT = _schema(
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
_IMAGES = _schema(type="array", items=_IMAGE.json_schema, maxItems=limits.GALLERY_ENTRIES)
_NAMES = _schema(
    type="array",
    items={"type": "string", "maxLength": limits.SHORT, "pattern": patterns.LINE},
    maxItems=limits.PERMISSIONS,
    description=_BYTES,
)
Extras = Annotated[str, _OBJECT, BeforeValidator(jsonvalues.extras)]
Caracteristiques = Annotated[str, _PAIRS, BeforeValidator(jsonvalues.characteristics)]
Gallery = Annotated[str, _IMAGES, BeforeValidator(jsonvalues.gallery)]
Permissions = Annotated[str, _NAMES, BeforeValidator(jsonvalues.permissions)]


class Wire(BaseModel):
    """What a client sends: camelCase names, exact types; unknown keys are ignored, a missing key means unchanged."""

    model_config = ConfigDict(
        alias_generator=camel, strict=True, extra="ignore", allow_inf_nan=False, validate_default=False
    )


UNCHANGED: Any = Field(default_factory=lambda: None)
"""A field that the client need not send. The schema tells no default: a generated client would send it as a value."""
