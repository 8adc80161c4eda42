"""Which JSON schemas the upstream takes just as they stand: nearly all that clients send.

`is_plain` says yes only where `schema.sanitise_schema` would change nothing but the order of keywords and have nothing
to note; every doubt is a no. It reads each keyword once and builds nothing, a fifth of what cleaning costs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import repeat

from kirotrio.conversation.request import Json

PROPERTY_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,64}")

TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})

MAX_DEPTH = 40
"""Below the ceiling of the cleaning."""

_INFERRED_FROM = frozenset({"properties", "items", "prefixItems", "enum"})
"""Keywords from which the cleaning tells a type that is missing."""
_is_name = PROPERTY_NAME.fullmatch


def is_plain_tool(schema: dict[str, Json]) -> bool:
    """Whether this tool's schema, sound JSON of no more than 1,000 nodes, is to be sent as it is."""
    return (
        schema.get("type") == "object"
        and "properties" in schema
        and not ("anyOf" in schema or "oneOf" in schema or "allOf" in schema)
        and is_plain(schema, MAX_DEPTH)
    )


def is_plain(schema: Json, depth: int) -> bool:
    """Whether one schema is to be sent as it is."""
    if type(schema) is not dict or depth == 0:
        return False
    for keyword, value in schema.items():
        check = _CHECKS.get(keyword)
        if check is None or not check(value, depth):
            return False
    return "type" in schema or _INFERRED_FROM.isdisjoint(schema)


def _type(value: Json, _: int) -> bool:
    return type(value) is str and value in TYPES


def _text(value: Json, _: int) -> bool:
    return type(value) is str


def _number(value: Json, _: int) -> bool:
    return type(value) is int or type(value) is float


def _anything(_: Json, __: int) -> bool:
    return True


def _boolean(value: Json, _: int) -> bool:
    return type(value) is bool


def _enum(value: Json, _: int) -> bool:
    return type(value) is list and bool(value)


def _boolean_or_schema(value: Json, depth: int) -> bool:
    return type(value) is bool or is_plain(value, depth - 1)


def _schema(value: Json, depth: int) -> bool:
    return is_plain(value, depth - 1)


def _branches(value: Json, depth: int) -> bool:
    return type(value) is list and bool(value) and all(is_plain(branch, depth - 1) for branch in value)


def _properties(value: Json, depth: int) -> bool:
    if type(value) is not dict:
        return False
    return all(map(_is_name, value)) and all(map(is_plain, value.values(), repeat(depth - 1)))


def _required(value: Json, _: int) -> bool:
    return (
        type(value) is list
        and bool(value)
        and all(type(name) is str and _is_name(name) for name in value)
        and len(set(value)) == len(value)
    )


_CHECKS: dict[str, Callable[[Json, int], bool]] = {
    "type": _type,
    "description": _text,
    "title": _text,
    "properties": _properties,
    "required": _required,
    "items": _schema,
    "additionalProperties": _boolean_or_schema,
    "propertyNames": _schema,
    "enum": _enum,
    "anyOf": _branches,
    "oneOf": _branches,
    "allOf": _branches,
    "default": _anything,
    "const": _anything,
    "examples": _anything,
    "format": _text,
    "pattern": _text,
    "minimum": _number,
    "maximum": _number,
    "exclusiveMinimum": _number,
    "exclusiveMaximum": _number,
    "multipleOf": _number,
    "minLength": _number,
    "maxLength": _number,
    "minItems": _number,
    "maxItems": _number,
    "minProperties": _number,
    "maxProperties": _number,
    "uniqueItems": _boolean,
    "deprecated": _boolean,
    "readOnly": _boolean,
    "writeOnly": _boolean,
}
