"""What a client says about thinking, when it is withheld, and who is shown it."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from kirotrio.conversation.request import (
    Conversation,
    Effort,
    Limits,
    OutputSchema,
    Text,
    ThinkingSetting,
    ToolChoice,
    Turn,
)
from kirotrio.conversation.thinking import (
    get_thinking_budget,
    is_thinking_enabled,
    read_thinking,
    shows_thinking,
    thinking_withheld,
)

ON: list[Any] = [
    True,
    "enabled",
    "Enabled",
    "ENABLED",
    {"type": "enabled"},
    {"type": "ENABLED", "budget_tokens": 7},
    {"type": "adaptive"},
    {"type": "Adaptive", "display": "omitted"},
    {"budget_tokens": 1},
    {"type": None, "budget_tokens": 1},
]
OFF: list[Any] = [False, "disabled", "DISABLED", {"type": "disabled"}, {"type": "Disabled", "budget_tokens": 5}]
UNCLEAR: list[Any] = [
    {},
    "",
    "on",
    "adaptive",
    0,
    1,
    1.5,
    [],
    ["enabled"],
    {"type": "sometimes"},
    {"type": "sometimes", "budget_tokens": 5},
    {"type": True},
    {"budget_tokens": 0},
    {"budget_tokens": -1},
    {"budget_tokens": True},
    {"budget_tokens": 5.0},
    {"budget_tokens": "5"},
    {"display": "omitted"},
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
configs = st.one_of(
    json_values,
    st.sampled_from(ON + OFF + UNCLEAR),
    st.fixed_dictionaries({}, optional=dict.fromkeys(("type", "budget_tokens", "display"), json_values)),
)


def read(config: Any, *, default: bool = True, effort: Any = None, accepted: bool = False) -> Any:
    return read_thinking(config, default=default, effort=effort, accepted=accepted)


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize("config", ON)
def test_what_turns_thinking_on(config: Any, default: bool) -> None:
    assert is_thinking_enabled(config, default) is True
    setting, sentences = read(config, default=default)
    assert (setting.enabled, setting.asked, setting.accepted, sentences) == (True, True, True, ())


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize("config", OFF)
def test_what_turns_thinking_off(config: Any, default: bool) -> None:
    assert is_thinking_enabled(config, default) is False
    setting, sentences = read(config, default=default)
    assert (setting.enabled, setting.asked, setting.accepted, sentences) == (False, False, False, ())


@pytest.mark.parametrize("default", [True, False])
@pytest.mark.parametrize("config", UNCLEAR, ids=repr)
def test_what_is_not_understood_leaves_the_default_and_is_told(config: Any, default: bool) -> None:
    assert is_thinking_enabled(config, default) is default
    setting, sentences = read(config, default=default)
    assert (setting.enabled, setting.asked) == (default, False)
    assert len(sentences) == 1
    assert ("thinking is on" if default else "thinking is off") in sentences[0]


@pytest.mark.parametrize("default", [True, False])
def test_absence_leaves_the_default_without_a_word(default: bool) -> None:
    assert is_thinking_enabled(None, default) is default
    assert read(None, default=default) == (ThinkingSetting(enabled=default), ())


def test_the_default_is_on() -> None:
    assert is_thinking_enabled(None) is True


# Feature: merge-main-to-release, Property 4: Thinking budget
@given(configs, st.one_of(st.integers(), st.booleans(), json_values))
@settings(max_examples=300)
def test_a_positive_integer_budget_is_given_back_and_nothing_else_is(config: Any, budget: Any) -> None:
    for candidate in (config, {"type": "enabled", "budget_tokens": budget}):
        given_budget = candidate.get("budget_tokens") if isinstance(candidate, dict) else None
        valid = type(given_budget) is int and given_budget > 0
        assert get_thinking_budget(candidate) == (given_budget if valid else 200_000)
        assert type(get_thinking_budget(candidate)) is int


@given(configs, st.booleans(), json_values, st.booleans())
def test_whatever_a_client_sends_is_read(config: Any, default: bool, effort: Any, accepted: bool) -> None:
    setting, sentences = read(config, default=default, effort=effort, accepted=accepted)
    assert setting.budget == get_thinking_budget(config)
    assert setting.accepted is (accepted or setting.asked)
    assert setting.enabled is is_thinking_enabled(config, default) or setting.effort is Effort.NONE
    assert all(sentence.strip() for sentence in sentences)


def test_a_budget_that_is_none_is_told() -> None:
    setting, (sentence,) = read({"type": "enabled", "budget_tokens": -3})
    assert (setting.enabled, setting.budget) == (True, 200_000)
    assert "budget_tokens" in sentence


@pytest.mark.parametrize("effort", list(Effort))
def test_effort_in_any_case(effort: Effort) -> None:
    for spelling in (effort.value, effort.value.upper()):
        setting, sentences = read(None, effort=spelling)
        assert (setting.effort, sentences) == (effort, ())


@pytest.mark.parametrize("effort", ["", "huge", 3, True, {}, ["low"]], ids=repr)
def test_unknown_effort_is_left_out_and_told(effort: Any) -> None:
    setting, (sentence,) = read(None, effort=effort)
    assert setting == ThinkingSetting()
    assert "minimal, low, medium" in sentence


def test_effort_none_turns_thinking_off_unless_the_client_turned_it_on() -> None:
    assert read(None, effort="none")[0].enabled is False
    setting, (sentence,) = read({"type": "adaptive"}, effort="none")
    assert (setting.enabled, setting.effort) == (True, None)
    assert "contradicts" in sentence


@pytest.mark.parametrize("display", ["summarized", "omitted", "updates"])
def test_display_is_read(display: str) -> None:
    assert read({"type": "adaptive", "display": display.title()}) == (
        ThinkingSetting(asked=True, accepted=True, display=display),
        (),
    )


@pytest.mark.parametrize("display", ["full", 3, []], ids=repr)
def test_unknown_display_is_left_out_and_told(display: Any) -> None:
    setting, (sentence,) = read({"type": "adaptive", "display": display})
    assert setting.display is None
    assert "summarized, omitted, updates" in sentence


USER = Turn("user", (Text("hi"),))
PREFILL = Turn("assistant", (Text("{"),))
PLAIN = Conversation("claude-sonnet-4.5", (USER,), limits=Limits(max_tokens=4096))
COSTLY: dict[str, Conversation] = {
    "max_tokens is 4095": evolve(PLAIN, limits=Limits(max_tokens=4095)),
    "a tool call": evolve(PLAIN, tool_choice=ToolChoice("any")),
    "tool call": evolve(PLAIN, tool_choice=ToolChoice("tool", "t")),
    "JSON schema": evolve(PLAIN, output_schema=OutputSchema({})),
    "assistant's answer": evolve(PLAIN, turns=(USER, PREFILL)),
}


@pytest.mark.parametrize("reason", COSTLY)
def test_unasked_thinking_is_withheld_where_it_could_cost_the_answer(reason: str) -> None:
    assert reason in (thinking_withheld(COSTLY[reason]) or "")


@pytest.mark.parametrize("reason", COSTLY)
def test_what_was_asked_for_or_is_off_is_not_withheld(reason: str) -> None:
    for setting in (ThinkingSetting(asked=True, accepted=True), ThinkingSetting(enabled=False)):
        assert thinking_withheld(evolve(COSTLY[reason], thinking=setting)) is None


def test_unasked_thinking_is_not_withheld_otherwise() -> None:
    for conversation in (
        PLAIN,
        evolve(PLAIN, limits=Limits()),
        evolve(PLAIN, tool_choice=ToolChoice("none")),
        evolve(PLAIN, turns=(USER, PREFILL, USER)),
    ):
        assert thinking_withheld(conversation) is None


@pytest.mark.parametrize(
    ("show", "asked", "accepted", "shown"),
    [
        ("auto", False, False, False),
        ("auto", True, False, True),
        ("auto", False, True, True),
        ("always", False, False, True),
        ("never", True, True, False),
    ],
)
def test_who_is_shown_thinking(
    show: Literal["auto", "always", "never"], asked: bool, accepted: bool, shown: bool
) -> None:
    assert shows_thinking(ThinkingSetting(asked=asked, accepted=accepted), show) is shown
