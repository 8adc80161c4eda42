"""Fragments to calls: whole ones leave in order of completion, broken ones never."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirotrio.conversation.events import ToolCall
from kirotrio.errors import UpstreamFailed
from kirotrio.kiro import toolcalls
from kirotrio.kiro.event_types import ToolUseFragment as Fragment
from kirotrio.kiro.toolcalls import ToolCalls


class Run:
    def __init__(self, names: dict[str, str] | None = None) -> None:
        self.notes: list[str] = []
        self.calls = ToolCalls(names or {}, self.notes.append)

    def add(self, *fragments: Fragment) -> list[ToolCall]:
        return [call for fragment in fragments if (call := self.calls.add(fragment)) is not None]


def test_pieces_are_joined_exactly_as_they_were_generated() -> None:
    run = Run()
    assert run.add(
        Fragment("t", "read"),
        Fragment("t", "read", '{ "path" :'),
        Fragment("t", "read", ' "a\\u00e9",  "n":1.50}'),
        Fragment("t", "read", stop=True),
    ) == [ToolCall("t", "read", '{ "path" : "a\\u00e9",  "n":1.50}')]
    assert (run.calls.completed, run.calls.broken, run.notes) == (1, 0, [])


@pytest.mark.parametrize(
    "fragments",
    [
        [Fragment("t", "now", stop=True)],
        [Fragment("t", "now"), Fragment("t", "now", ""), Fragment("t", stop=True)],
        [Fragment("t", "now", {}), Fragment("t", stop=True)],
        [Fragment("t", "now", "{}", stop=True)],
    ],
)
def test_a_call_without_arguments_has_the_empty_object(fragments: list[Fragment]) -> None:
    assert Run().add(*fragments) == [ToolCall("t", "now", "{}")]


def test_a_snapshot_replaces_what_came_before_it() -> None:
    run = Run()
    assert run.add(
        Fragment("t", "set", '{"half'), Fragment("t", "set", {"value": 1}), Fragment("t", None, {"value": 2}, stop=True)
    ) == [ToolCall("t", "set", '{"value":2}')]


def test_an_empty_snapshot_at_the_beginning_is_no_piece_of_text() -> None:
    run = Run()
    assert run.add(Fragment("t", "set", {}), Fragment("t", "set", '{"a":1}', stop=True)) == [
        ToolCall("t", "set", '{"a":1}')
    ]


def test_text_after_a_snapshot_that_says_something_is_broken() -> None:
    run = Run()
    assert run.add(Fragment("t", "set", {"a": 1}), Fragment("t", "set", '{"b":2}', stop=True)) == []
    assert run.calls.broken == 1


@pytest.mark.parametrize("text", ['{"a":', "[]", "5", "null", '"x"', '{"a":1}}', " ", "{'a':1}", '{"a":NaN}'])
def test_arguments_that_are_no_json_object_never_leave(text: str) -> None:
    run = Run()
    assert run.add(Fragment("t", "write", text, stop=True)) == []
    assert (run.calls.completed, run.calls.broken) == (0, 1)
    assert run.notes == ["tool call t (write) was withheld: its arguments are not a JSON object"]


def test_calls_with_equal_names_and_inputs_are_kept_apart() -> None:
    assert Run().add(
        Fragment("a", "ls", '{"p":1}'),
        Fragment("b", "ls", '{"p":1}'),
        Fragment("b", stop=True),
        Fragment("a", stop=True),
    ) == [ToolCall("b", "ls", '{"p":1}'), ToolCall("a", "ls", '{"p":1}')]


def test_shortened_names_are_restored_and_others_left() -> None:
    run = Run({"short_1": "mcp__a_very_long_name"})
    assert [call.name for call in run.add(Fragment("a", "short_1", stop=True), Fragment("b", "ls", stop=True))] == [
        "mcp__a_very_long_name",
        "ls",
    ]


def test_a_name_may_come_late_but_never_change() -> None:
    run = Run()
    assert run.add(Fragment("a", None, "{"), Fragment("a", "ls", "}"), Fragment("a", None, stop=True)) == [
        ToolCall("a", "ls", "{}")
    ]
    run.add(Fragment("b", "ls"))
    with pytest.raises(UpstreamFailed, match="renamed tool call b from ls to rm"):
        run.add(Fragment("b", "rm"))


def test_a_call_that_never_gets_a_name_is_broken() -> None:
    run = Run()
    assert run.add(Fragment("a", None, "{}", stop=True)) == []
    assert run.calls.broken == 1


@pytest.mark.parametrize("ending", ["{}", "{"])
def test_an_id_is_not_used_again_after_its_call_stopped(ending: str) -> None:
    run = Run()
    run.add(Fragment("a", "ls", ending, stop=True))
    with pytest.raises(UpstreamFailed, match="used the id of tool call a again"):
        run.add(Fragment("a", "ls", stop=True))


def test_calls_without_a_stop_are_broken_at_the_end_even_if_they_look_whole() -> None:
    run = Run()
    run.add(Fragment("a", "ls", '{"p":1}'), Fragment("b", "ls"))
    run.calls.end()
    assert (run.calls.completed, run.calls.broken) == (0, 2)
    run.calls.end()
    assert run.calls.broken == 2, "counted once"


def test_a_lost_fragment_breaks_every_open_call_and_no_finished_one() -> None:
    run = Run()
    (first,) = run.add(Fragment("a", "ls", "{}", stop=True))
    run.add(Fragment("b", "ls", '{"p":'), Fragment("c", "ls"))
    run.calls.lose_fragment()
    run.calls.lose_fragment()
    assert run.add(Fragment("b", "ls", "1}", stop=True), Fragment("c", "ls", stop=True)) == []
    assert (first.id, run.calls.completed, run.calls.broken) == ("a", 1, 2)


def test_a_lost_fragment_of_no_open_call_is_one_broken_call_and_later_ones_must_show_their_arguments() -> None:
    run = Run()
    run.calls.lose_fragment()
    assert run.calls.broken == 1
    # The lost fragment may have been all of this call's input: `{}` would be made up.
    assert run.add(Fragment("a", "rm", stop=True)) == []
    assert run.add(Fragment("b", "rm", ',"p":1}', stop=True)) == []
    assert run.add(Fragment("c", "ls", '{"p":1}', stop=True)) == [ToolCall("c", "ls", '{"p":1}')]


objects = st.dictionaries(st.text(max_size=6), st.one_of(st.integers(), st.text(max_size=12), st.none()), max_size=4)


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[list[Fragment], list[ToolCall]]:
    """Fragments of up to four sound calls, shuffled together, and the calls in their order of completion."""
    waiting: dict[str, list[Fragment]] = {}
    arguments: dict[str, str] = {}
    for number in range(draw(st.integers(1, 4))):
        call_id = f"t{number}"
        text = json.dumps(draw(objects), ensure_ascii=draw(st.booleans()))
        step = draw(st.integers(1, 9))
        pieces = [text[at : at + step] for at in range(0, len(text), step)]
        waiting[call_id] = [Fragment(call_id, "ls", piece) for piece in pieces] + [Fragment(call_id, stop=True)]
        arguments[call_id] = text
    order: list[Fragment] = []
    calls: list[ToolCall] = []
    while waiting:
        call_id = draw(st.sampled_from(sorted(waiting)))
        order.append(waiting[call_id].pop(0))
        if not waiting[call_id]:
            del waiting[call_id]
            calls.append(ToolCall(call_id, "ls", arguments[call_id]))
    return order, calls


@settings(max_examples=100, deadline=None)
@given(interleaved())
def test_interleaved_calls_leave_whole_in_order_of_completion(case: tuple[list[Fragment], list[ToolCall]]) -> None:
    fragments, expected = case
    run = Run()
    assert run.add(*fragments) == expected
    assert run.calls.broken == 0


@settings(max_examples=100, deadline=None)
@given(interleaved(), st.data())
def test_losing_any_one_fragment_never_lets_other_arguments_out(
    case: tuple[list[Fragment], list[ToolCall]], data: st.DataObject
) -> None:
    fragments, sound = case
    lost = data.draw(st.integers(0, len(fragments) - 1))
    run = Run()
    got = run.add(*fragments[:lost])
    run.calls.lose_fragment()
    got += run.add(*fragments[lost + 1 :])
    run.calls.end()
    assert all(call in sound for call in got)
    assert run.calls.broken >= 1


def test_long_arguments_in_small_pieces_are_joined_and_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    added = parsed = 0

    class Piece(str):
        """Counts what adding it to something else, or something to it, would copy."""

        def __add__(self, other: str) -> str:
            nonlocal added
            added += len(self) + len(other)
            return str(self) + str(other)

        def __radd__(self, other: str) -> str:
            nonlocal added
            added += len(self) + len(other)
            return str(other) + str(self)

    class CountingJson:
        dumps = staticmethod(orjson.dumps)

        @staticmethod
        def loads(text: str) -> object:
            nonlocal parsed
            parsed += len(text)
            return orjson.loads(text)

    monkeypatch.setattr(toolcalls, "orjson", CountingJson)
    text = json.dumps({"content": "x" * 400_000})
    run = Run()
    pieces = [Fragment("t", "write", Piece(text[at : at + 1024])) for at in range(0, len(text), 1024)]
    assert run.add(*pieces, Fragment("t", stop=True)) == [ToolCall("t", "write", text)]
    assert added == 0, "no piece is added to what came before it"
    assert parsed == len(text), "the whole is parsed, once"
