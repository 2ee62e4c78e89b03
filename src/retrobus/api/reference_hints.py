"""What the API reference tells programs that draw forms and lists, in extensions of its schemas.

`x-label` is the French name of a field, `x-kind` says which control suits it, `x-hint` is a French line below the
control, `x-words` has the French text of each value that is a word, and `x-column` is the place of the field in a
list: a field without it is in no list.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

from retrobus.model.columns import label_of
from retrobus.model.limits import SHORT, URL
from retrobus.model.names import camel
from retrobus.model.resources import ALL, Resource
from retrobus.words import grouped

Schema = dict[str, Any]

WORDS = {
    "DRAFT": "Brouillon", "PUBLISHED": "Publié", "ARCHIVED": "Archivé",
    "STANDARD": "Individuelle", "FAMILY": "Famille", "STUDENT": "Étudiant", "HONORARY": "Honneur",
    "LIFETIME": "À vie", "BIENFAITEUR": "Bienfaiteur",
    "PENDING": "En attente", "ACTIVE": "À jour", "EXPIRED": "Expirée", "SUSPENDED": "Suspendue",
    "CANCELLED": "Résiliée",
    "CASH": "Espèces", "CHECK": "Chèque", "CARD": "Carte", "TRANSFER": "Virement",
    "BANK_TRANSFER": "Virement bancaire", "HELLOASSO": "HelloAsso", "PAYPAL": "PayPal",
    "active": "Actif", "terminated": "Parti", "disabled": "Désactivé",
    "MEMBER": "Membre", "DRIVER": "Conducteur", "BUREAU": "Bureau", "ADMIN": "Administrateur",
    "PRESIDENT": "Président", "VICE_PRESIDENT": "Vice-président", "TRESORIER": "Trésorier",
    "SECRETAIRE_GENERAL": "Secrétaire général",
    "Vehicle": "Véhicules", "Event": "Événements", "Member": "Adhérents",
    "api": "dans l’application", "sql": "en SQL (psql)", "clean": "nettoyage des tables",
    "strict": "strict : PostgreSQL seul répond", "fallback": "avec mémoire : elle répond pendant une panne",
    "memory": "en mémoire, sans base",
    "applied": "appliqué", "discarded": "abandonné",
    "insert": "Création", "update": "Modification", "delete": "Suppression",
    "reset": "remise à zéro de la base", "restore": "restauration d’un backup", "erase": "effacement définitif",
}  # fmt: skip
"""For each value of an enumeration its French text; a test asks for all of them."""

YES_OR_NO = {"true": "Oui", "false": "Non"}

AUTHORS = {
    "sql": "en SQL (psql)", "cli": "par une commande", "import": "par un import de tableur",
    "restore": "par une restauration", "clean": "par un nettoyage", "api": "par le service",
}  # fmt: skip
"""The words in `updatedBy` that name no member."""

FILTERS = {
    "from": "À partir du", "to": "Avant le", "since": "Depuis le", "resource": "Liste", "key": "Clé (parc, id)",
    "cause": "Cause", "all": "Montrer aussi les conflits tranchés",
}  # fmt: skip
"""The labels of the filters that are no field of a row."""

HINTS = {
    "password": "10 caractères au moins ; laissé vide, le mot de passe reste le même",
    "lines": "Une entrée par ligne",
    "json": 'Un objet JSON, comme {"isVisible": true}',
}
COMPACT = frozenset({"text", "day", "time", "money", "number", "flag", "choice"})
"""The kinds that have room in a list."""

LEADING = {
    "Vehicle": ("parc", "marque", "modele"),
    "Event": ("title", "date", "time", "location", "vehicleId", "status", "currentParticipants"),
    "Member": ("lastName", "firstName", "email", "phone", "city"),
}
"""The first columns of each list; the other short fields follow in the order of the row, but for those put aside."""

ASIDE = frozenset(
    {
        *("id", "subtitle", "immat", "backgroundPosition", "layout", "helloAssoUrl", "childPrice", "address"),
        *("postalCode", "birthDate", "memberNumber", "matricule", "membershipStartDate", "paymentAmount"),
        *("paymentMethod", "newsletter", "hasLinkedAccess", "status"),
    }
)
NAMES_OF_MEMBERS = frozenset({"updatedBy", "createdBy"})


def words_for(values: Iterable[str]) -> dict[str, str]:
    """The French text of each of these values; KeyError for one that has none."""
    return {value: WORDS[value] for value in values}


def filter_hints(prefix: str, name: str, schema: Schema) -> Schema:
    """The hints for a filter of the list whose path begins with this prefix."""
    resource = next((one for one in ALL if prefix == f"/api/{one.plural}"), None)
    labels = {} if resource is None else {camel(column.name): label_of(column) for column in resource.shown}
    words = YES_OR_NO if schema["type"] == "boolean" else words_for(schema.get("enum", ()))
    kind = "day" if "examples" in schema else "text"
    return {"x-label": FILTERS.get(name) or labels[name], "x-kind": "choice" if words else kind} | _words(words)


def add_hints(resource: Resource, rows: Sequence[Schema], bodies: Iterable[Schema]) -> None:
    """Adds to the fields of a resource, in its rows and in what clients send of them, which control suits each."""
    schemas = [schema["properties"] for schema in (*bodies, *rows)]
    images = {camel(name) for name in resource.images}
    labels = {camel(column.name): label_of(column) for column in resource.shown}
    for name in {name for schema in schemas for name in schema}:
        found = [schema[name] for schema in schemas if name in schema]
        whole = {key: value for field in found for key, value in _flat(field).items()}
        label = labels.get(name) or whole.get("x-label")
        if label is not None:
            hints = {"x-label": label} | _hints(name, whole, image=name in images)
            for schema in schemas:
                schema.update({name: schema[name] | hints} if name in schema else {})
    for row in rows:
        _place(LEADING[resource.name], row["properties"])


def _place(leading: Iterable[str], row: Schema) -> None:
    """Numbers the fields that a list of these rows shows."""
    short = [name for name, field in row.items() if field.get("x-kind") in COMPACT and not field.get("readOnly")]
    shown = [*leading, *(name for name in short if name not in {*leading, *ASIDE})]
    for place, name in enumerate(name for name in shown if name in row):
        row[name]["x-column"] = place


def _flat(field: Schema) -> Schema:
    """One schema for alternatives: the first of them, and what is said of all."""
    return {**field.get("anyOf", [{}])[0], **field}


def _hints(name: str, field: Schema, *, image: bool) -> Schema:
    kind = "author" if name in NAMES_OF_MEMBERS else _kind(field, image=image)
    hint = HINTS.get(kind, "")
    if kind == "prose":
        hint = f"{grouped(field['maxLength'])} caractères au plus"
    if kind in {"number", "money"} and "maximum" in field:
        hint = f"De {grouped(field['minimum'])} à {grouped(field['maximum'])}"
    words = AUTHORS if kind == "author" else words_for(field.get("enum", ()))
    return {"x-kind": kind} | ({"x-hint": hint} if hint else {}) | _words(words)


def _words(words: dict[str, str]) -> Schema:
    return {"x-words": words} if words else {}


def _kind(field: Schema, *, image: bool) -> str:
    """Which control suits a field: each word is one that the Studio has a control for."""
    types = field["type"] if isinstance(field["type"], list) else [field["type"]]
    return next(kind for kind, fits in _rules(field, types, image=image) if fits)


def _rules(field: Schema, types: list[str], *, image: bool) -> Iterable[tuple[str, Any]]:
    many = "array" in types
    yield "password", field.get("writeOnly")
    yield "images", image and many
    yield "image", image
    yield "flag", "boolean" in types
    yield "choice", "enum" in field
    yield "instant", field.get("format") == "date-time" and field.get("readOnly")
    yield "day", field.get("format") == "date-time"
    yield "json", "contentMediaType" in field
    yield "pairs", many and field["items"]["type"] == "object"
    yield "lines", many
    yield "money", "multipleOf" in field
    yield "number", "integer" in types or "number" in types
    pattern = field.get("pattern")
    yield "time", pattern and re.search(pattern, "23:59") and not re.search(pattern, "x")
    yield "prose", field.get("maxLength", SHORT) > max(SHORT, URL)
    yield "text", True
