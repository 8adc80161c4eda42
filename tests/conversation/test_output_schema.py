"""Which texts are the JSON that a schema asks for, and which schemas are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.conversation import output_schema
from kirotrio.conversation.output_schema import LONGEST_TOLD, check_schema, flaw
from kirotrio.conversation.request import OutputSchema
from kirotrio.errors import BodyInvalid

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "ages": {"type": "array", "items": {"type": "integer"}}},
    "required": ["name"],
    "additionalProperties": False,
}
SLOW = r"(?:x|x|xx)+$"
"""Takes for ever on xxx…y."""
STUBBORN = "x" * 60 + "y"

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


class Late(Exception):
    """Raised by a clock that has run down."""


def after(ticks: int) -> Any:
    left = [ticks]

    def tick() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Late

    return tick


def refused(schema: Any) -> str:
    with pytest.raises(BodyInvalid) as caught:
        check_schema(OutputSchema(schema, path="response_format"))
    assert caught.value.path == "response_format"
    return str(caught.value)


@given(json_values)
def test_what_is_json_and_meets_its_schema_has_no_flaw(value: Any) -> None:
    text = json.dumps(value)
    assert flaw(text, {"const": value}) is None
    assert flaw(f" \n{text}\t", {}) is None, "blanks around it are JSON too"
    assert (flaw(text, None) is None) is isinstance(value, dict), "without a schema it is any object"
    assert flaw(text, {"not": {"const": value}})


@given(st.text(max_size=20))
def test_what_no_parser_takes_has_a_flaw(text: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        told = flaw(text, {})
        assert told
        assert len(told) <= LONGEST_TOLD


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "there is no text"),
        (" \n", "there is no text"),
        ('{"name":', "Expecting value at character 8 of 8"),
        ('Sure! {"name":"a"}', "at character 0"),
        ('{"name":"a"} Done.', "Extra data at character 13"),
        ('{"name":NaN}', "NaN"),
        ('{"name":"a","ages":[1' + "0" * 5000 + "]}", "too long"),
        ("[" * 100_000, "too deeply"),
        ("{}", "$: 'name' is a required property"),
        ('{"name":"a","ages":[1,"secret"]}', "$.ages[1]: must be of type integer"),
        ('{"name":"a","secret":1}', '$: does not meet "additionalProperties": false'),
    ],
)
def test_a_flaw_says_what_and_where(text: str, told: str) -> None:
    said = flaw(text, PERSON)
    assert said is not None
    assert told in said
    assert "secret" not in said, "what the answer says is the client's alone"
    assert len(said) <= LONGEST_TOLD


def test_a_long_demand_is_told_in_short() -> None:
    told = flaw("3", {"enum": ["x" * 1000]})
    assert told is not None
    assert len(told) == LONGEST_TOLD


def test_several_types_are_all_named() -> None:
    assert flaw("3", {"type": ["string", "null"]}) == "$: must be of type string or null"


def test_a_property_that_is_forbidden_is_told() -> None:
    assert flaw('{"a":"secret"}', {"properties": {"a": False}}) == "$: holds what the schema forbids"


def test_the_draft_is_the_one_that_the_schema_names() -> None:
    beside = {"$ref": "#/definitions/any", "type": "string", "definitions": {"any": {}}}
    assert flaw("3", beside), "in 2020-12 a reference stands beside other keywords"
    assert flaw("3", {"$schema": "http://json-schema.org/draft-07/schema#", **beside}) is None
    assert flaw("3", {"$schema": "http://example.com/unheard-of", **beside})


def test_formats_are_not_asserted() -> None:
    assert flaw('"not an address"', {"type": "string", "format": "email"}) is None


@pytest.mark.parametrize(
    "pattern", [r"^\p{Lu}", r"^(?<first>É)", r"^\u00c9"], ids=["properties", "named groups", "escapes"]
)
def test_patterns_of_other_engines_are_understood(pattern: str) -> None:
    assert flaw('"École"', {"pattern": pattern}) is None
    assert flaw('"école"', {"pattern": pattern})


@pytest.mark.parametrize("pattern", ["(", r"[\p{"], ids=["open group", "open class"])
def test_a_pattern_that_cannot_be_read_counts_as_met(pattern: str) -> None:
    assert flaw('"a"', {"pattern": pattern}) is None
    named = {"patternProperties": {pattern: False}, "additionalProperties": False}
    assert flaw('{"a":1}', named) is None
    check_schema(OutputSchema({"pattern": pattern}))


def test_patterns_of_names_work_together_with_all_other_names() -> None:
    schema = {
        "properties": {"id": {}},
        "patternProperties": {"^n_": {"type": "number"}},
        "additionalProperties": {"type": "string"},
    }
    assert flaw('{"id":null,"n_a":1,"other":"x"}', schema) is None
    assert flaw('{"n_a":"1"}', schema) == "$.n_a: must be of type number"
    assert flaw('{"other":1}', schema) == "$.other: must be of type string"
    closed = {**schema, "additionalProperties": False}
    assert flaw('{"n_a":1}', closed) is None
    assert flaw('{"other":"x"}', closed)


@pytest.mark.parametrize("schema", [PERSON, {**PERSON, "$schema": "https://json-schema.org/draft/2020-12/schema"}])
def test_keywords_are_for_their_own_kind_of_value(schema: dict[str, Any]) -> None:
    loose = {name: demand for name, demand in schema.items() if name != "type"}
    assert flaw("3", {**loose, "pattern": "x", "patternProperties": {"x": False}}) is None


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {STUBBORN: {"pattern": SLOW}}},
        {"patternProperties": {SLOW: {}}},
        {"patternProperties": {SLOW: {}}, "additionalProperties": False},
        {"patternProperties": {SLOW: {}}, "unevaluatedProperties": False},
        {"propertyNames": {"pattern": SLOW}},
    ],
    ids=["pattern", "patternProperties", "additionalProperties", "unevaluatedProperties", "propertyNames"],
)
def test_a_pattern_that_takes_for_ever_is_given_up(schema: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    # Some look for it several times, and its seconds are a processor's, of which a busy machine has few.
    monkeypatch.setattr(output_schema, "_PATTERN_SECONDS", 0.05)
    assert flaw(json.dumps({STUBBORN: STUBBORN}), schema) is None


def test_properties_that_nothing_looked_at_are_seen() -> None:
    schema = {"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": False}
    assert flaw('{"a":1}', schema) is None
    assert flaw('{"b":1}', schema)


DOUBLING = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$ref": "#/$defs/d0",
    "$defs": {
        **{f"d{at}": {"anyOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 2} for at in range(40)},
        "d40": {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "string"},
    },
}


@pytest.mark.timeout(30)
def test_a_schema_that_takes_for_ever_is_ended_by_its_clock() -> None:
    with pytest.raises(Late):
        flaw("3", DOUBLING, after(10_000))


def test_the_clock_is_looked_at_below_a_draft_that_is_named_again() -> None:
    schema = DOUBLING["$schema"]
    nested = {"$schema": schema, "items": {"$schema": schema, "properties": {"a": {"$schema": schema, "pattern": "("}}}}
    assert flaw('[{"a":"b"}]', nested) is None, "its own engine reads every pattern"
    with pytest.raises(Late):
        flaw('[{"a":"b"}]', nested, after(2))


def test_a_schema_is_checked_by_the_clock_too() -> None:
    check_schema(OutputSchema(PERSON), after(10_000))
    with pytest.raises(Late):
        check_schema(OutputSchema(PERSON), after(20))
    with pytest.raises(Late):
        check_schema(OutputSchema({"properties": {f"p{at}": True for at in range(5000)}}), after(5000))


def test_a_schema_that_leads_into_itself_ends() -> None:
    told = flaw("{}", {"$ref": "#"})
    assert told is not None
    assert "too deeply" in told


@pytest.mark.filterwarnings("ignore:Automatically retrieving remote references")
def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    # The library by itself would ask the network.
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("the network was asked"))
    assert flaw("{}", {"$ref": "http://127.0.0.1:9/schema.json"}) == "a reference in the schema leads nowhere"


@pytest.mark.parametrize(
    "schema",
    [
        PERSON,
        {},
        {"$defs": {"a": {"type": "object"}}, "$ref": "#/$defs/a"},
        {"$defs": {"a": {"$anchor": "here", "type": "object"}}, "$ref": "#here"},
        {"$defs": {"a": {"$id": "http://example.com/a", "type": "object"}}, "$ref": "http://example.com/a"},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"$ref": "#"},
        {"properties": {"$ref": {"type": "string"}, "pattern": {"enum": [{"$ref": "#/nowhere"}]}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}, "$ref": "#/definitions/a"},
        {"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": True},
        None,
    ],
)
def test_schemas_are_taken(schema: Any) -> None:
    check_schema(OutputSchema(schema))


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "strin"}, "$.type"),
        ({"properties": {"a": {"required": "a"}}}, "$.properties.a.required"),
        ({"minimum": 1, "exclusiveMinimum": True}, "exclusiveMinimum"),
        ({"$schema": ["x"]}, "$schema"),
        ({"properties": {"a": {"$ref": "#/nowhere"}}}, "'#/nowhere' leads nowhere"),
        ({"items": {"$ref": "http://127.0.0.1:9/schema.json"}}, "leads nowhere"),
        ({"type": "x" * 1000}, "$.type"),
    ],
)
def test_a_schema_that_is_none_is_refused_with_its_path(schema: Any, told: str) -> None:
    said = refused(schema)
    assert told in said
    assert len(said) <= LONGEST_TOLD + len("response_format: ")


def test_a_schema_of_any_depth_is_taken_or_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(5000):
        deep = {"items": deep}
    assert "too deeply" in refused(deep)
    assert flaw("[" * 900 + "]" * 900, deep) == "schema or answer is nested too deeply to be checked"
