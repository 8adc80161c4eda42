"""Which requests belong together, whatever the client sends."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import conversations, texts

from kirotrio.conversation.request import (
    ClientSession,
    Conversation,
    Image,
    Text,
    ToolResult,
    ToolUse,
    Turn,
)
from kirotrio.conversation.session import session_identity, spoken_turns, words_of
from kirotrio.kiro.sessions import session_ids

CALLS = Turn("assistant", (ToolUse("t1", "Read", {}),))
RESULT = ToolResult("t1", (Text("ok"),))
NOTE = Text("<system-reminder>\nThe todo list is empty.\n</system-reminder>")


def said(*words: str) -> Conversation:
    turns = [Turn("user", (Text(word),)) for word in words]
    return Conversation(model="auto", turns=tuple(turn for pair in turns for turn in (pair, CALLS)))


@settings(max_examples=60, deadline=None)
@given(conversations, st.lists(st.builds(Text, texts), max_size=2))
def test_the_identity_is_short_and_stays_as_the_conversation_grows(
    conversation: Conversation, answer: list[Text]
) -> None:
    identity = session_identity(conversation)
    assert len(identity) == 32
    assert set(identity) <= set("0123456789abcdef")
    assert session_identity(conversation) == identity
    if conversation.session is not None or spoken_turns(conversation):
        grown = (*conversation.turns, Turn("assistant", tuple(answer)), Turn("user", (Text("and now?"),)))
        assert session_identity(evolve(conversation, turns=grown)) == identity


@given(st.text(max_size=8), st.text(max_size=8))
def test_the_clients_session_alone_decides_where_there_is_one(one: str, other: str) -> None:
    first = evolve(said("a"), session=ClientSession(one, "header"))
    second = evolve(said("b"), session=ClientSession(other, "metadata.user_id"))
    assert (session_identity(first) == session_identity(second)) == (one == other)


def test_a_session_is_no_first_turn_of_the_same_words() -> None:
    assert session_identity(said("x")) != session_identity(evolve(said("x"), session=ClientSession("x", "header")))


def test_the_first_turn_tells_conversations_apart() -> None:
    assert session_identity(said("a", "c")) == session_identity(said("a", "b"))
    assert session_identity(said("a")) != session_identity(said("b"))
    pictures = [Conversation("auto", (Turn("user", (Image("image/png", data),)),)) for data in ("AAAA", "BBBB")]
    assert session_identity(pictures[0]) != session_identity(pictures[1]), "a turn of a picture alone is told by it"


@given(st.text(max_size=12).filter(lambda words: "<" not in words and words.strip()))
def test_a_clients_notes_make_no_difference(words: str) -> None:
    plain = Turn("user", (Text(words),))
    noted = Turn("user", (NOTE, Text(f"<system-reminder>x</system-reminder>\n{words}"), NOTE))
    assert words_of(noted) == words_of(plain) == words.strip()
    assert session_identity(Conversation("auto", (noted,))) == session_identity(Conversation("auto", (plain,)))


def test_a_turn_of_notes_alone_is_still_a_turn() -> None:
    conversation = Conversation("auto", (Turn("user", (NOTE,)),))
    assert spoken_turns(conversation) == list(conversation.turns)
    assert "todo" in words_of(conversation.turns[0])


def test_notes_beside_tool_results_do_not_begin_a_turn() -> None:
    begun = said("fix it")
    with_note = evolve(begun, turns=(*begun.turns, Turn("user", (RESULT, NOTE, Text("")))))
    interrupted = evolve(begun, turns=(*begun.turns, Turn("user", (RESULT, Text("no, the other one")))))
    assert session_ids(with_note, "a") == session_ids(begun, "a")
    assert session_ids(interrupted, "a")[0] == session_ids(begun, "a")[0]
    assert session_ids(interrupted, "a")[1] != session_ids(begun, "a")[1], "the person has spoken anew"


@settings(max_examples=60, deadline=None)
@given(conversations, st.lists(st.sampled_from([RESULT, NOTE]), min_size=1, max_size=4))
def test_the_continuation_stays_while_tools_run(conversation: Conversation, more: list[ToolResult | Text]) -> None:
    grown = evolve(conversation, turns=(*conversation.turns, CALLS, Turn("user", (RESULT, *more))))
    if spoken_turns(conversation):
        assert session_ids(grown, "a") == session_ids(conversation, "a")


def test_notes_that_never_end_cost_no_more_than_others() -> None:
    text = "<system-reminder>" * 200_000
    assert words_of(Turn("user", (Text(text),))) == text
