"""What the service rejects in `tools[]` (KIRO_PROTOCOL 2.4, 2.8)."""

from __future__ import annotations

from collections.abc import Mapping

from kirotrio.conversation.request import Json
from kirotrio.kiro.names import TOOL_NAME
from kirotrio.kiro.plain_schema import PROPERTY_NAME, TYPES
from kirotrio.kiro.violation import Findings

NAME_LENGTH = 64
DESCRIPTION_LENGTH = 10_240
"""Characters; the historic limit. A probe of 2026-09 found none, so this is the cautious reading."""

_LISTS_OF_SCHEMAS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE_SCHEMAS = ("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then")
_NAMED_SCHEMAS = ("dependentSchemas", "patternProperties", "properties")


def lint_tools(tools: list[Json], path: str, findings: Findings) -> set[str]:
    """Checks the list; the names that it specifies, lower-cased."""
    if not tools:
        findings.add(path, "an empty list is rejected: leave the member out")
    names: set[str] = set()
    for index, tool in enumerate(tools):
        at = f"{path}.{index}"
        union = findings.object(tool, at)
        if union is None or set(union) == {"cachePoint"}:
            continue
        if set(union) != {"toolSpecification"}:
            findings.add(at, "has to hold exactly one of toolSpecification and cachePoint")
            continue
        at = f"{at}.toolSpecification"
        specification = findings.object(union["toolSpecification"], at)
        if specification is not None:
            _lint_specification(specification, at, names, findings)
    return names


def lint_tool_name(name: Json, path: str, findings: Findings) -> str | None:
    if not isinstance(name, str) or not TOOL_NAME.fullmatch(name) or len(name) > NAME_LENGTH:
        findings.add(path, f"a tool's name begins with a letter, goes on with a-z A-Z 0-9 _ -, {NAME_LENGTH} at most")
        return None
    return name


def _lint_specification(specification: Mapping[str, Json], path: str, names: set[str], findings: Findings) -> None:
    name = lint_tool_name(specification.get("name"), f"{path}.name", findings)
    if name is not None:
        if name.lower() in names:
            findings.duplicate(f"{path}.name", f"the name {name} stands twice, in whatever case")
        names.add(name.lower())
    if "description" in specification:
        description = specification["description"]
        if not isinstance(description, str) or not description.strip():
            findings.add(f"{path}.description", "a description must not be empty")
        elif len(description) > DESCRIPTION_LENGTH:
            findings.add(f"{path}.description", f"longer than {DESCRIPTION_LENGTH} characters")
    wrapper = findings.object(specification.get("inputSchema"), f"{path}.inputSchema")
    if wrapper is not None:
        at = f"{path}.inputSchema.json"
        schema = wrapper.get("json")
        if not isinstance(schema, dict):
            findings.schema(at, "has to be a JSON schema, as an object")
            return
        if schema.get("type") != "object":
            findings.schema(f"{at}.type", 'a tool\'s schema has "type": "object"')
        for keyword in ("allOf", "anyOf", "oneOf"):
            if keyword in schema:
                findings.schema(f"{at}.{keyword}", "a tool's schema must not be a union at the top")
        _lint_schema(schema, at, findings)


def _lint_schema(root: Mapping[str, Json], path: str, findings: Findings) -> None:
    """Every schema within; with a stack of its own, so that no depth of nesting matters."""
    pending: list[tuple[Json, str]] = [(root, path)]
    while pending:
        schema, at = pending.pop()
        if isinstance(schema, bool):
            continue
        if not isinstance(schema, dict):
            findings.schema(at, "has to be a schema")
            continue
        _lint_keywords(schema, at, findings)
        single = (keyword for keyword in _SINGLE_SCHEMAS if schema.get(keyword) is not None)
        pending.extend((schema[keyword], f"{at}.{keyword}") for keyword in single)
        for keyword in _LISTS_OF_SCHEMAS:
            if keyword in schema:
                branches = schema[keyword]
                if isinstance(branches, list) and branches:
                    pending.extend((branch, f"{at}.{keyword}.{index}") for index, branch in enumerate(branches))
                else:
                    findings.schema(f"{at}.{keyword}", "has to be a list of schemas that is not empty")
        for keyword in _NAMED_SCHEMAS:
            if isinstance(schema.get(keyword), dict):
                pending.extend((member, f"{at}.{keyword}.{name}") for name, member in schema[keyword].items())


def _lint_keywords(schema: Mapping[str, Json], path: str, findings: Findings) -> None:
    for keyword, value in schema.items():
        if value is None and keyword not in ("const", "default", "example", "examples"):
            findings.schema(f"{path}.{keyword}", "must not be null")
    for keyword in ("$ref", "$defs", "definitions", "$dynamicRef", "$recursiveRef"):
        if keyword in schema:
            findings.schema(f"{path}.{keyword}", "references are rejected: put what they refer to in their place")
    if "$schema" in schema and not str(schema["$schema"]).startswith(
        ("http://json-schema.org/", "https://json-schema.org/")
    ):
        findings.schema(f"{path}.$schema", "names no draft of JSON schema")
    for keyword in ("description", "title"):
        if not isinstance(schema.get(keyword, ""), str):
            findings.schema(f"{path}.{keyword}", "has to be a string")
    kind = schema.get("type", "object")
    kinds = kind if isinstance(kind, list) and kind else [kind]
    if kind is not None and not all(isinstance(name, str) and name in TYPES for name in kinds):
        findings.schema(f"{path}.type", f"has to be among {', '.join(sorted(TYPES))}")
    required = schema.get("required", ["_"])
    if required is not None and not (
        isinstance(required, list) and required and all(isinstance(name, str) for name in required)
    ):
        findings.schema(f"{path}.required", "has to be a list of names that is not empty; leave it out otherwise")
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        if properties is not None:
            findings.schema(f"{path}.properties", "has to be an object")
        return
    for name in properties:
        if not PROPERTY_NAME.fullmatch(name):
            findings.schema(f"{path}.properties.{name}", "a property's name is 1 to 64 of a-z A-Z 0-9 _ . -")
