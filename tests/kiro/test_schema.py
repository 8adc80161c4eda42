"""Tool schemas: what the service rejects is taken out, what it means stays."""

from __future__ import annotations

from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given, settings
from strategies import object_schemas

from kirotrio.conversation.request import Diagnostic
from kirotrio.kiro.lint_tools import lint_tools
from kirotrio.kiro.plain_schema import MAX_DEPTH, is_plain_tool
from kirotrio.kiro.schema import MAX_NODES, clean_schema, sanitise_schema
from kirotrio.kiro.violation import Findings

STRING = {"type": "string"}


def clean(schema: Any) -> tuple[dict[str, Any], list[Diagnostic]]:
    notes: list[Diagnostic] = []
    return sanitise_schema(schema, "s", notes), notes


def rejected(schema: dict[str, Any]) -> list[str]:
    findings = Findings()
    lint_tools([{"toolSpecification": {"name": "t", "inputSchema": {"json": schema}}}], "tools", findings)
    return [f"{violation.path}: {violation.rule}" for violation in findings.found]


@settings(max_examples=100, deadline=None)
@given(object_schemas)
def test_any_schema_becomes_one_that_the_service_takes(schema: dict[str, Any]) -> None:
    sent, _ = clean(schema)
    assert rejected(sent) == []
    assert orjson.loads(orjson.dumps(sent)) == sent


@settings(max_examples=50, deadline=None)
@given(object_schemas)
def test_cleaning_twice_changes_nothing(schema: dict[str, Any]) -> None:
    once, _ = clean(schema)
    assert clean(once)[0] == once


@settings(max_examples=200, deadline=None)
@given(object_schemas)
def test_what_is_sent_as_it_stands_is_what_cleaning_would_make_of_it(schema: dict[str, Any]) -> None:
    for candidate in (schema, clean_schema(schema, "s", [])):
        if is_plain_tool(candidate):
            notes: list[Diagnostic] = []
            assert clean_schema(candidate, "s", notes) == candidate
            assert notes == []


PLAIN = {
    "type": "object",
    "properties": {"a": {"type": "string", "enum": ["x"], "description": "d"}},
    "required": ["a"],
}


def test_a_plain_schema_is_sent_without_a_copy() -> None:
    assert clean(PLAIN)[0] is PLAIN
    assert clean({"$schema": "http://json-schema.org/draft-07/schema#", **PLAIN}) == (PLAIN, [])


@pytest.mark.parametrize(
    "member",
    [
        {"type": "String"},
        {"type": ["string", "null"]},
        {"enum": ["x"]},
        {"properties": {}},
        {"type": "array", "items": []},
        {"type": "array", "items": True},
        {"type": "string", "description": None},
        {"type": "string", "enum": []},
        {"type": "number", "minimum": 1, "exclusiveMinimum": True},
        {"type": "object", "required": ["b", "b"]},
        {"type": "object", "required": ["ä"]},
        {"type": "object", "properties": {"ä": {}}},
        {"anyOf": []},
        {"$ref": "#"},
        {"$comment": "c"},
        True,
        None,
    ],
)
def test_what_needs_cleaning_is_not_plain(member: Any) -> None:
    schema = {"type": "object", "properties": {"a": member}}
    assert is_plain_tool(schema) is False
    assert clean(schema)[0] == clean_schema(schema, "s", [])


def test_roots_that_a_tool_may_not_have_are_not_plain() -> None:
    assert not is_plain_tool({"type": "object"})
    assert not is_plain_tool({**PLAIN, "anyOf": [PLAIN]})
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(MAX_DEPTH):
        deep = {"type": "array", "items": deep}
    assert not is_plain_tool({"type": "object", "properties": {"a": deep}})


def test_a_clean_schema_is_left_as_it_is() -> None:
    schema = {
        "type": "object",
        "description": "d",
        "additionalProperties": False,
        "properties": {
            "path": {"type": "string", "pattern": "^/", "minLength": 1},
            "mode": {"type": ["string", "null"], "default": None, "enum": ["r", None]},
            "either": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "integer"}}]},
            "any": {"description": "anything"},
        },
        "required": ["path"],
    }
    assert clean(schema) == (schema, [])


def test_no_schema_is_an_object() -> None:
    assert clean(None)[0] == {"type": "object", "properties": {}}
    assert clean({})[0] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("given_schema", "sent"),
    [
        ({"required": None, "properties": None, "additionalProperties": None}, {}),
        ({"type": "object", "required": []}, {}),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "x"}, {}),
        ({"type": ["object", "null"]}, {}),
        ({"properties": {"a": STRING}, "required": ["a", "a", 7]}, {"properties": {"a": STRING}, "required": ["a"]}),
    ],
)
def test_a_root_that_is_rejected_is_repaired(given_schema: dict[str, Any], sent: dict[str, Any]) -> None:
    assert clean(given_schema)[0] == {"type": "object", "properties": {}, **sent}


@pytest.mark.parametrize(
    ("given_schema", "sent"),
    [
        (None, {}),
        (True, {}),
        (False, {"not": {}}),
        ({"properties": {"b": STRING}}, {"type": "object", "properties": {"b": STRING}}),
        ({"items": {}}, {"type": "array", "items": {}}),
        ({"enum": ["x", "y"]}, {"type": "string", "enum": ["x", "y"]}),
        ({"type": "String"}, STRING),
        ({"type": "int"}, {"type": "integer"}),
        ({"type": "array", "items": [STRING]}, {"type": "array", "prefixItems": [STRING]}),
        ({"type": "array", "items": []}, {"type": "array", "items": {}}),
        ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
        ({"description": 7}, {"description": "7"}),
        ({"default": None, "const": None, "title": None}, {"default": None, "const": None}),
        ({"type": "object", "properties": {}, "required": []}, {"type": "object", "properties": {}}),
    ],
)
def test_a_property_that_is_rejected_is_repaired(given_schema: Any, sent: dict[str, Any]) -> None:
    assert clean({"properties": {"a": given_schema}})[0]["properties"] == {"a": sent}


def test_an_unknown_type_is_left_out_with_a_note() -> None:
    sent, notes = clean({"properties": {"a": {"type": "any"}}})
    assert sent["properties"] == {"a": {}}
    assert [note.path for note in notes] == ["s.properties.a.type"]


# -- references ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["$defs", "definitions"])
def test_references_are_inlined(place: str) -> None:
    sent, notes = clean(
        {
            "properties": {"a": {"$ref": f"#/{place}/x~1y", "description": "the a"}, "b": {"$ref": f"#/{place}/list"}},
            place: {"x/y": STRING, "list": {"type": "array", "items": {"$ref": f"#/{place}/x~1y"}}},
        }
    )
    assert sent["properties"] == {
        "a": {"type": "string", "description": "the a"},
        "b": {"type": "array", "items": STRING},
    }
    assert place not in sent
    assert notes == []


def test_a_root_that_is_only_a_reference() -> None:
    sent, _ = clean({"$ref": "#/definitions/T", "definitions": {"T": {"properties": {"a": STRING}, "required": ["a"]}}})
    assert sent == {"type": "object", "properties": {"a": STRING}, "required": ["a"]}


def test_what_stands_beside_a_reference_counts_too() -> None:
    sent, _ = clean(
        {"properties": {"a": {"$ref": "#/$defs/x", "maxLength": 3, "minLength": 2}}, "$defs": {"x": {"minLength": 1}}}
    )
    assert sent["properties"]["a"] == {"allOf": [{"minLength": 1}, {"maxLength": 3, "minLength": 2}]}


def test_a_cycle_is_cut_where_it_closes_with_a_note() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}}}
    sent, notes = clean({"properties": {"root": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": tree}})
    assert sent["properties"]["root"] == {"type": "object", "properties": {"child": {"type": "object"}}}
    assert [note.path for note in notes] == ["s.properties.root.properties.child.$ref"]
    assert rejected(clean({"properties": {"self": {"$ref": "#"}}})[0]) == []


@pytest.mark.parametrize("reference", ["#/$defs/none", "https://example.org/x.json", "x.json#/a", 7, None])
def test_a_reference_to_nowhere_accepts_anything_with_a_note(reference: Any) -> None:
    sent, notes = clean({"properties": {"a": {"$ref": reference, "title": "A"}}})
    assert sent["properties"] == {"a": {"title": "A"}}
    assert [note.path for note in notes] == ["s.properties.a.$ref"]


def test_references_that_double_at_every_level_end_at_the_ceiling() -> None:
    levels = {f"l{n}": {"properties": {k: {"$ref": f"#/$defs/l{n + 1}"} for k in "ab"}} for n in range(40)}
    sent, notes = clean({"$ref": "#/$defs/l0", "$defs": {**levels, "l40": STRING}})
    assert len(orjson.dumps(sent)) < 100 * MAX_NODES
    assert len(notes) == 1
    assert rejected(sent) == []


def test_a_schema_nested_without_end_is_cut() -> None:
    deep: dict[str, Any] = {}
    for _ in range(900):
        deep = {"items": deep}
    sent, notes = clean({"properties": {"a": deep}})
    assert orjson.dumps(sent)
    assert notes


# -- what tools may not have -----------------------------------------------------------------------------------------


def test_a_union_at_the_top_is_joined() -> None:
    sent, notes = clean(
        {
            "anyOf": [
                {"properties": {"kind": {"const": "a"}, "x": STRING}, "required": ["kind", "x"]},
                {"properties": {"kind": {"const": "b"}}, "required": ["kind"], "additionalProperties": False},
                {"type": "null"},
            ]
        }
    )
    assert sent == {
        "type": "object",
        "properties": {"kind": {"anyOf": [{"const": "a"}, {"const": "b"}]}, "x": STRING},
        "required": ["kind"],
    }
    assert [note.path for note in notes] == ["s.anyOf"]
    jsonschema.validate({"kind": "b"}, sent)


def test_all_of_at_the_top_is_merged_without_loss() -> None:
    sent, notes = clean(
        {
            "allOf": [{"properties": {"a": STRING}, "required": ["a"]}, {"$ref": "#/$defs/b"}],
            "$defs": {"b": {"properties": {"b": STRING}, "required": ["b"]}},
        }
    )
    assert sent == {"type": "object", "properties": {"a": STRING, "b": STRING}, "required": ["a", "b"]}
    assert notes == []


def test_a_property_with_a_name_that_is_rejected_is_told_in_the_description() -> None:
    sent, notes = clean(
        {
            "description": "Queries.",
            "properties": {"$filter": STRING, "top": STRING},
            "required": ["$filter", "top"],
            "additionalProperties": False,
        }
    )
    assert sent == {
        "type": "object",
        "description": 'Queries.\nFurther properties:\n"$filter" (required): {"type":"string"}',
        "properties": {"top": STRING},
        "required": ["top"],
    }
    assert [note.path for note in notes] == ["s.properties.$filter"]
