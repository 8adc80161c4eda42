"""JSON schemas of tools in the form that the upstream takes (KIRO_PROTOCOL 2.8, trap 6).

What comes out is an object schema without references, nulls, empty lists and unknown types, equal in meaning to what
came in wherever that can be said without them; where it cannot, a diagnostic says what was loosened. References
multiply, so a schema has a ceiling in nodes and in depth beyond which a branch accepts anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from kirotrio.conversation.request import Diagnostic, Json
from kirotrio.kiro.plain_schema import PROPERTY_NAME, TYPES, is_plain_tool
from kirotrio.kiro.wellformed import brackets, repair_json

MAX_NODES = 10_000
MAX_DEPTH = 60
_QUICKLY_READ = 1_000
"""Brackets of a schema that may be plain; so many nodes are below any ceiling."""

_TYPE_ALIASES = {
    "str": "string",
    "text": "string",
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "bool": "boolean",
    "dict": "object",
    "map": "object",
    "list": "array",
    "none": "null",
    **{kind: kind for kind in TYPES},
}
"""What tool authors write in place of JSON schema's names."""

_DROPPED = frozenset({"$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "$vocabulary"})
"""Without meaning once references are inlined."""
_DYNAMIC = frozenset({"$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"})
_ONE = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "contains",
        "contentSchema",
        "else",
        "if",
        "items",
        "not",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
    }
)
"""Keywords that hold one schema."""
_BOOLEAN_KEPT = frozenset({"additionalItems", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"})
"""Those of them where true and false are commonly understood."""
_SEVERAL = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"dependentSchemas", "patternProperties"})
_VERBATIM = frozenset({"default", "const", "examples", "example"})
"""Keywords whose value is an instance, in which null and anything else is fine."""


def sanitise_schema(schema: Mapping[str, Json] | None, path: str, notes: list[Diagnostic]) -> dict[str, Json]:
    """The object schema to send for a tool's `input_schema`; None (no schema) is an object of anything."""
    if schema is None:
        return {"type": "object", "properties": {}}
    if type(schema) is dict and 0 <= brackets(schema) <= _QUICKLY_READ:
        # `$schema` at the root is the one keyword that nearly everybody sends for nothing.
        told = {key: value for key, value in schema.items() if key != "$schema"} if "$schema" in schema else schema
        if is_plain_tool(told):
            return told
    return clean_schema(schema, path, notes)


def clean_schema(schema: Mapping[str, Json], path: str, notes: list[Diagnostic]) -> dict[str, Json]:
    """`sanitise_schema` for one that is not plain; of a plain one it makes an equal one."""
    document = repair_json(schema)
    if document is not schema and document != schema:
        notes.append(Diagnostic(path, "lone surrogates were replaced, or what lay deeper than 100 levels was cut"))
    clean = _Sanitiser(document, notes).node(document, path, 0, ("#",))
    return _as_object(clean, path, notes)


def _as_object(schema: dict[str, Json], path: str, notes: list[Diagnostic]) -> dict[str, Json]:
    """The root: an object with properties, and no union, which a tool may not have at the top."""
    notes.extend(
        Diagnostic(f"{path}.{keyword}", "a tool's schema may not be a union; its branches were joined")
        for keyword in ("anyOf", "oneOf")
        if keyword in schema
    )
    _absorb_unions(schema)
    kind = schema.get("type")
    if kind != "object":
        if kind is not None and not (isinstance(kind, list) and "object" in kind):
            notes.append(Diagnostic(f"{path}.type", f"a tool takes an object, not {kind!r}"))
        schema["type"] = "object"
    schema.setdefault("properties", {})
    return schema


def _absorb_unions(schema: dict[str, Json]) -> None:
    """Join the object branches of a union into `schema`: the properties of all of them.

    Required is what every branch of anyOf or oneOf requires, and what any branch of allOf does.
    """
    for keyword in ("allOf", "anyOf", "oneOf"):
        if keyword not in schema:
            continue
        branches = schema.pop(keyword)
        for branch in branches:
            _absorb_unions(branch)
        branches = [branch for branch in branches if "properties" in branch or branch.get("type") == "object"]
        every = keyword == "allOf"
        properties = schema.get("properties", {})
        for branch in branches:
            for name, member in branch.get("properties", {}).items():
                _join_property(properties, name, member, every=every)
        demands = [branch.get("required", []) for branch in branches]
        required = schema.get("required", [])
        for name in dict.fromkeys(name for demand in demands for name in demand):
            if name not in required and (every or all(name in demand for demand in demands)):
                required = [*required, name]
        if properties:
            schema["properties"] = properties
        if required:
            schema["required"] = required
        # Closed to further properties, one branch would forbid those of its neighbours.
        schema.pop("additionalProperties", None)


def _join_property(properties: dict[str, Json], name: str, member: Json, *, every: bool) -> None:
    known: Any = properties.setdefault(name, member)
    if known == member:
        return
    if every:
        properties[name] = {"allOf": [known, member]}
    else:
        options = known["anyOf"] if set(known) == {"anyOf"} else [known]
        properties[name] = known if member in options else {"anyOf": [*options, member]}


class _Sanitiser:
    """One pass over one schema document."""

    def __init__(self, document: Mapping[str, Json], notes: list[Diagnostic]) -> None:
        self._document = document
        self._notes = notes
        self._nodes = 0
        self._full = False

    def _note(self, path: str, message: str) -> None:
        self._notes.append(Diagnostic(path, message))

    def node(self, schema: Json, path: str, depth: int, trail: tuple[str, ...]) -> dict[str, Json]:
        """One schema. `trail` are the references that led here."""
        if not isinstance(schema, Mapping):
            return self._boolean(schema, path)
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            return self._cut(path)
        if "$ref" in schema:
            return self._resolve(schema, path, depth, trail)
        out: dict[str, Json] = {}
        for keyword, value in schema.items():
            if keyword in _VERBATIM:
                out[keyword] = value
            elif value is not None and keyword not in _DROPPED:
                self._keyword(out, keyword, value, path, depth, trail)
        if "properties" in schema or "required" in schema:
            self._object(out, schema, path, depth, trail)
        if "type" not in out:
            _infer_type(out)
        _exclusive_bounds(out)
        return out

    def _boolean(self, schema: Json, path: str) -> dict[str, Json]:
        if schema is False:
            return {"not": {}}
        if schema is not True and schema is not None:
            self._note(path, f"a schema is an object, not {type(schema).__name__}; anything is accepted here")
        return {}

    def _cut(self, path: str) -> dict[str, Json]:
        if not self._full:
            self._full = True
            self._note(path, f"deeper than {MAX_DEPTH} levels or beyond {MAX_NODES} nodes; anything is accepted here")
        return {}

    def _resolve(self, schema: Mapping[str, Json], path: str, depth: int, trail: tuple[str, ...]) -> dict[str, Json]:
        """The schema referred to, with what stands beside the reference."""
        reference = schema["$ref"]
        beside = self.node({key: value for key, value in schema.items() if key != "$ref"}, path, depth, trail)
        target = self._lookup(reference)
        if target is None:
            self._note(f"{path}.$ref", f"{reference!r} is not in this schema; anything is accepted here")
            return beside
        if reference in trail:
            self._note(f"{path}.$ref", f"{reference!r} refers to itself; from here on anything is accepted")
            found: dict[str, Json] = {}
            for keyword in ("type", "description"):
                if isinstance(target.get(keyword), str):
                    self._keyword(found, keyword, target[keyword], path, depth, trail)
        else:
            found = self.node(target, path, depth + 1, (*trail, reference))
        if found.keys() & beside.keys() - {"description", "title", "default", "examples"}:
            return {"allOf": [found, beside]}
        return {**found, **beside}

    def _lookup(self, reference: Json) -> Mapping[str, Json] | None:
        """The schema that a local reference (`#`, `#/$defs/x`) points to."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            return None
        value: Json = self._document
        for step in reference.split("/")[1:]:
            key = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(value, Mapping) and key in value:
                value = value[key]
            elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
                value = value[int(key)]
            else:
                return None
        if isinstance(value, bool):
            return {} if value else {"not": {}}
        return value if isinstance(value, Mapping) else None

    def _keyword(
        self, out: dict[str, Json], keyword: str, value: Json, path: str, depth: int, trail: tuple[str, ...]
    ) -> None:
        if keyword == "type":
            self._type(out, value, path)
        elif keyword in _ONE:
            if isinstance(value, bool) and keyword in _BOOLEAN_KEPT:
                out[keyword] = value
            elif keyword == "items" and isinstance(value, list) and value:
                # The tuple form of older drafts; the present one calls it prefixItems.
                out["prefixItems"] = self._nodes_of(value, f"{path}.items", depth, trail)
            else:
                out[keyword] = self.node({} if value == [] else value, f"{path}.{keyword}", depth + 1, trail)
        elif keyword in _SEVERAL:
            branches = value if isinstance(value, list) else [value]
            if branches:
                out[keyword] = self._nodes_of(branches, f"{path}.{keyword}", depth, trail)
        elif keyword in _NAMED:
            if isinstance(value, Mapping):
                out[keyword] = {
                    name: self.node(member, f"{path}.{keyword}.{name}", depth + 1, trail)
                    for name, member in value.items()
                }
        elif keyword == "enum":
            if isinstance(value, list) and value:
                out[keyword] = value
        elif keyword in ("description", "title"):
            out[keyword] = value if isinstance(value, str) else orjson.dumps(value).decode()
        elif keyword in _DYNAMIC:
            self._note(f"{path}.{keyword}", "dynamic references are not resolved; anything is accepted here")
        elif keyword not in ("properties", "required"):
            out[keyword] = value

    def _nodes_of(self, schemas: list[Json], path: str, depth: int, trail: tuple[str, ...]) -> list[Json]:
        return [self.node(schema, f"{path}.{index}", depth + 1, trail) for index, schema in enumerate(schemas)]

    def _object(
        self, out: dict[str, Json], schema: Mapping[str, Json], path: str, depth: int, trail: tuple[str, ...]
    ) -> None:
        """Properties and which are required. A property that upstream cannot name is told in the description."""
        declared = schema.get("properties")
        names = schema.get("required")
        required = list(dict.fromkeys(n for n in names if isinstance(n, str))) if isinstance(names, list) else []
        spoken: list[str] = []
        if "properties" in schema:
            if declared is not None and not isinstance(declared, Mapping):
                self._note(f"{path}.properties", "properties is an object; left out")
            members = declared if isinstance(declared, Mapping) else {}
            properties: dict[str, Json] = {}
            for name, member in members.items():
                at = f"{path}.properties.{name}"
                clean = self.node(member, at, depth + 1, trail)
                if PROPERTY_NAME.fullmatch(name):
                    properties[name] = clean
                else:
                    self._note(at, "upstream rejects this name; the property is told in the description instead")
                    must = " (required)" if name in required else ""
                    spoken.append(f"{json.dumps(name)}{must}: {orjson.dumps(clean).decode()}")
            out["properties"] = properties
        required = [name for name in required if PROPERTY_NAME.fullmatch(name)]
        if required:
            out["required"] = required
        if spoken:
            out["description"] = "\n".join([out.get("description", ""), "Further properties:", *spoken]).strip()
            if out.get("additionalProperties") is False:
                del out["additionalProperties"]

    def _type(self, out: dict[str, Json], value: Json, path: str) -> None:
        names = value if isinstance(value, list) else [value]
        known: list[str] = []
        for name in names:
            if isinstance(name, str) and name in TYPES:
                kind: str | None = name
            else:
                kind = _TYPE_ALIASES.get(name.lower()) if isinstance(name, str) else None
            if kind is None:
                self._note(f"{path}.type", f"{name!r} is no type of JSON schema; left out")
            elif kind not in known:
                known.append(kind)
        if known:
            out["type"] = known if len(known) > 1 else known[0]


def _infer_type(schema: dict[str, Json]) -> None:
    """The type that the other keywords leave no doubt about."""
    if "properties" in schema:
        schema["type"] = "object"
    elif "items" in schema or "prefixItems" in schema:
        schema["type"] = "array"
    elif "enum" in schema and all(isinstance(value, str) for value in schema["enum"]):
        schema["type"] = "string"


def _exclusive_bounds(schema: dict[str, Json]) -> None:
    """Draft 4's `exclusiveMinimum: true` beside `minimum` is today's `exclusiveMinimum: n`."""
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        value = schema.get(exclusive)
        if isinstance(value, bool):
            del schema[exclusive]
            if value and bound in schema:
                schema[exclusive] = schema.pop(bound)
