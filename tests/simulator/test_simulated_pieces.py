"""The pure parts: controls in a message, pieces of text, arguments from a schema, timed writes."""

from __future__ import annotations

import json
from typing import Any

import attrs
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated import body, tool, user

from kirotrio.config.settings import SimulatorSettings
from kirotrio.kiro.eventstream import EventStreamDecoder, encode_event
from kirotrio.kiro.model_table import MODEL_TABLE
from kirotrio.simulator import DEMO_ACCESS_TOKEN, SOCIAL_ARN, Simulator
from kirotrio.simulator import controls as controls_module
from kirotrio.simulator.answers import Answer, Call, Ending, Step, Stream
from kirotrio.simulator.arguments import plausible_arguments
from kirotrio.simulator.catalogue import Catalogue
from kirotrio.simulator.controls import Controls, from_settings, read_controls, without_controls
from kirotrio.simulator.prose import FILLER, gist, pieces
from kirotrio.simulator.script import steps

DEFAULTS = Controls()
WORDS = st.text(st.characters(exclude_characters="[]", exclude_categories=("Cs",)), max_size=30)


def test_every_control_can_be_written_in_a_message() -> None:
    assert {field.name for field in attrs.fields(Controls)} == controls_module._READERS.keys()


def test_every_setting_is_a_control() -> None:
    names = {field.name for field in attrs.fields(SimulatorSettings)}
    assert names <= {field.name for field in attrs.fields(Controls)}
    assert from_settings(SimulatorSettings()) == DEFAULTS


@given(WORDS, WORDS, st.text(max_size=40), st.integers(0, 1000), st.booleans())
def test_controls_are_found_anywhere_and_taken_out(
    before: str, after: str, text: str, events: int, apart: bool
) -> None:
    pairs = [f"text={json.dumps(text)}", f"events={events}"]
    brackets = "".join(f"[[{pair}]]" for pair in pairs) if apart else f"[[{' '.join(pairs)}]]"
    found = read_controls(before + brackets + after, DEFAULTS)
    assert (found.text, found.events) == (text, events)
    assert without_controls(before + brackets + after) == before + after


@given(st.text(max_size=200))
def test_other_text_changes_nothing(text: str) -> None:
    if "[[" not in text:
        assert read_controls(text, DEFAULTS) is DEFAULTS
        assert without_controls(text) == text


def test_later_controls_win() -> None:
    assert read_controls("[[events=1 size=5]] x [[events=2]]", DEFAULTS) == attrs.evolve(DEFAULTS, events=2, size=5)


def test_explicit_zero_is_not_never() -> None:
    found = read_controls("[[stall_after=0 cut_after=0 context_pct=0]]", DEFAULTS)
    assert (found.stall_after, found.cut_after, found.context_pct) == (0, 0, 0.0)


@given(st.text(max_size=300), st.integers(1, 50), st.one_of(st.none(), st.integers(0, 40)))
def test_pieces_keep_the_text(text: str, size: int, count: int | None) -> None:
    cut = list(pieces(text, size, count))
    joined = "".join(cut)
    if count is None:
        assert joined == text
        assert all(len(piece) == size for piece in cut[:-1])
    else:
        assert [len(piece) for piece in cut] == [size] * count
        assert joined == (text + FILLER * (size * count // len(FILLER) + 1))[: size * count]


def test_gist_is_the_last_line_in_short() -> None:
    assert gist("system text\n\nDo   this\t[[events=2]]\n  \n") == "Do this"
    assert len(gist("x" * 1000)) == 160
    assert gist("") == ""


# -- arguments -----------------------------------------------------------------------------------------------------

LEAVES = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "minLength": 12, "maxLength": 20},
        {"type": "string", "maxLength": 3},
        {"type": "integer", "minimum": 5, "maximum": 9},
        {"type": "number", "maximum": 0.5},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["string", "null"]},
        {"enum": ["a", 2, None]},
        {"const": {"x": 1}},
        {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        {"$ref": "#/$defs/shared"},
    ]
)
PROPERTIES = st.dictionaries(st.sampled_from(["path", "command", "url", "query", "n", "items"]), LEAVES, max_size=4)


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    properties: dict[str, Any] = dict(draw(PROPERTIES))
    inner = draw(PROPERTIES)
    if draw(st.booleans()):
        properties["list"] = {"type": "array", "items": {"type": "object", "properties": inner}, "minItems": 2}
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    shared = {"shared": {"type": "object", "properties": {"deep": {"type": "integer"}}, "required": ["deep"]}}
    return {"type": "object", "properties": properties, "required": required, "$defs": shared}


@given(schemas(), st.text(max_size=20), st.integers(0, 1))
def test_arguments_fit_their_schema(schema: dict[str, Any], said: str, variant: int) -> None:
    jsonschema.validate(plausible_arguments(schema, said, variant=variant), schema)


@pytest.mark.parametrize(
    "schema",
    [
        None,
        True,
        [],
        {},
        {"type": "string"},
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}},
        {"type": "object", "properties": {"a": {"$ref": "https://example.com/x"}, "b": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"type": "array", "minItems": 10**9, "items": {"type": "string"}}}},
    ],
)
def test_odd_schemas_give_an_object_all_the_same(schema: Any) -> None:
    assert isinstance(plausible_arguments(schema, "x"), dict)


# -- timed writes --------------------------------------------------------------------------------------------------

OPENING = encode_event("messageMetadataEvent", b"{}")
EVENTS = [("assistantResponseEvent", encode_event("assistantResponseEvent", b'{"content":"%d"}' % n)) for n in range(6)]


@given(
    st.sampled_from([0.0, 250.0]),
    st.one_of(st.none(), st.integers(0, 8)),
    st.one_of(st.none(), st.integers(0, 8)),
    st.sampled_from(["half", "boundary", "half-terminated", "reset"]),
)
def test_writes_carry_the_frames_up_to_the_cut_or_the_stall(
    gap: float, cut_after: int | None, stall_after: int | None, cut: str
) -> None:
    controls = Controls(gap_ms=gap, first_ms=1000, cut_after=cut_after, stall_after=stall_after, cut=cut)
    *writes, ending = steps(OPENING, iter(EVENTS), controls)
    assert all(isinstance(write, Step) for write in writes)
    assert isinstance(ending, Ending)
    sent = b"".join(write.frames for write in writes if isinstance(write, Step))
    whole = OPENING + b"".join(frame for _, frame in EVENTS)
    limits = [limit for limit in (cut_after, stall_after) if limit is not None and limit <= len(EVENTS)]
    stop = min(limits, default=len(EVENTS))
    assert sum(write.events for write in writes if isinstance(write, Step)) == stop
    frames = len(EventStreamDecoder().feed(sent))
    assert frames == (stop + 1 if stop or not limits else 0)
    assert len(sent) <= len(whole) + 60
    stalls = stall_after is not None and stop == stall_after
    assert (ending is Ending.STALL) == stalls
    if not limits:
        assert ending is Ending.FINISH
        assert sent == whole
        pauses = [write.pause for write in writes if isinstance(write, Step)]
        assert pauses == ([1.0] if not gap else [1.0, *[0.25] * 5])


def test_the_models_are_those_that_the_gateway_knows() -> None:
    catalogue = Catalogue()
    for known in MODEL_TABLE:
        if known.listed:
            model = catalogue.find(known.id)
            assert model is not None, f"{known.id} is missing in the samples"
            assert model.window == known.window, known.id
            assert (model.fields_schema is not None) == (known.thinking == "native"), known.id
            assert (model.reasoning == "tags") == (known.thinking == "tags"), known.id


# -- whatever is sent ----------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)
USE = {"toolUseId": "tooluse_1", "name": "read", "input": {}}
RICH = body(
    "",
    model="claude-opus-5",
    history=[
        user("hi", images=[{"format": "png", "source": {"bytes": "QUJD"}}]),
        {"assistantResponseMessage": {"content": "", "toolUses": [USE]}},
    ],
    tools=[tool("read"), {"cachePoint": {"type": "default"}}],
    results=[{"toolUseId": "tooluse_1", "content": [{"text": "x"}, {"json": {"a": 1}}], "status": "success"}],
    root={"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}, "profileArn": SOCIAL_ARN},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def asked(path: str, document: Any) -> Answer:
    headers = {"authorization": f"Bearer {DEMO_ACCESS_TOKEN}", "content-type": "application/json"}
    return Simulator().answer(Call("POST", path, {}, headers, json.dumps(document).encode()))


def test_the_rich_body_is_valid() -> None:
    assert isinstance(asked("/generateAssistantResponse", RICH), Stream)


@given(st.sampled_from(places(RICH)), JSON)
@settings(max_examples=300)
def test_no_body_makes_the_service_fail(place: tuple[Any, ...], value: Any) -> None:
    document: Any = json.loads(json.dumps(RICH))
    at = document
    for key in place[:-1]:
        at = at[key]
    if place:
        at[place[-1]] = value
    else:
        document = value
    for path in ("/generateAssistantResponse", "/mcp", "/ListAvailableProfiles", "/token", "/refreshToken"):
        answer = asked(path, document)
        if isinstance(answer, Stream):
            assert isinstance(list(answer.steps)[-1], Ending)
        else:
            assert 200 <= answer.status < 500
