"""Plausible arguments for a tool, built from its JSON schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kirotrio.simulator.prose import FILLER

_DEEPEST = 8
"""Levels below which a schema is not followed: recursive ones end in None."""

# The first piece that occurs in a property's name decides what kind of text it gets.
_WORDS = (
    ("command", "echo hello from the simulator"),
    ("url", "https://example.com/"),
    ("file", "README.md"),
    ("path", "README.md"),
    ("pattern", "*.md"),
    ("date", "2026-01-31"),
    ("email", "person@example.com"),
    ("city", "Lisbon"),
    ("location", "Lisbon"),
    ("content", "Hello from the simulator."),
)


def plausible_arguments(schema: Any, gist: str, *, variant: int = 0) -> dict[str, Any]:
    """An object that fits `schema` as far as its common keywords go; `variant` makes the texts of two calls differ.

    Required properties only, or all of them where none is required. `gist` is what the person said: the text for
    queries, prompts and whatever has no better one.
    """
    value = plausible_value(schema, gist, variant=variant)
    return value if isinstance(value, dict) else {}


def plausible_value(schema: Any, gist: str, *, variant: int = 0) -> Any:
    """The same for any JSON value; an object with an answer where the schema asks for nothing."""
    if schema == {}:
        return {"answer": gist or "hello"}
    return _value(schema, gist or "hello", "", schema, 0, variant)


def fill(arguments: dict[str, Any], length: int) -> dict[str, Any]:
    """`arguments` with the first text (a new one if there is none) carried on with filler up to `length` characters."""
    name = next((name for name, value in arguments.items() if isinstance(value, str)), "content")
    start = str(arguments.get(name, ""))
    text = (start + " " + FILLER * (length // len(FILLER) + 1))[:length] if len(start) < length else start
    return {**arguments, name: text}


def _value(schema: Any, gist: str, name: str, root: Any, depth: int, variant: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return None
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("enum", "examples"):
        choices = schema.get(keyword)
        if isinstance(choices, list) and choices:
            return choices[variant % len(choices)]
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return _value(_resolve(root, reference), gist, name, root, depth + 1, variant)
    for keyword in ("anyOf", "oneOf", "allOf"):
        choices = schema.get(keyword)
        if isinstance(choices, list) and choices:
            return _value(choices[0], gist, name, root, depth + 1, variant)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object" or (kind is None and "properties" in schema):
        return _object(schema, gist, root, depth, variant)
    if kind == "array":
        least = schema.get("minItems")
        count = min(least, 16) if isinstance(least, int) and least > 1 else 1
        return [_value(schema.get("items", {}), gist, name, root, depth + 1, variant) for _ in range(count)]
    if kind in ("integer", "number"):
        return _number(schema, kind, variant)
    if kind == "boolean":
        return False
    if kind == "null":
        return None
    return _text(schema, gist, name, variant)


def _object(schema: Mapping[str, Any], gist: str, root: Any, depth: int, variant: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    required = schema.get("required")
    names = [name for name in required if name in properties] if isinstance(required, list) else []
    return {
        name: _value(properties[name], gist, name, root, depth + 1, variant) for name in (names or list(properties))
    }


def _number(schema: Mapping[str, Any], kind: str, variant: int) -> float:
    least, most = schema.get("minimum"), schema.get("maximum")
    value: float = (least if isinstance(least, int | float) else 1) + variant
    if isinstance(most, int | float) and value > most:
        value = most
    return int(value) if kind == "integer" else float(value)


def _text(schema: Mapping[str, Any], gist: str, name: str, variant: int) -> str:
    lowered = name.lower()
    text = next((text for word, text in _WORDS if word in lowered), gist)
    if variant:
        text = f"{text} {variant + 1}"
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    if isinstance(shortest, int) and len(text) < shortest <= 100_000:
        text = text.ljust(shortest, ".")
    if isinstance(longest, int) and longest >= 0:
        text = text[:longest]
    return text


def _resolve(root: Any, reference: str) -> Any:
    """What a local `#/…` reference points at; None for any other."""
    if not reference.startswith("#"):
        return None
    at = root
    for step in reference[1:].strip("/").split("/"):
        key = step.replace("~1", "/").replace("~0", "~")
        at = at.get(key) if isinstance(at, Mapping) and key else at if not key else None
    return at
