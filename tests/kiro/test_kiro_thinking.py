"""Control tags, native fields and wrapped signatures."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kirotrio.conversation.request import Effort, ThinkingSetting
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.thinking import (
    TAG_SIGNATURE,
    Own,
    Tag,
    asked_budget,
    budget_effort,
    generate_thinking_hint,
    inject_thinking_hint,
    native_fields,
    unwrap_signature,
    wrap_signature,
)

CONTROL_TAGS = re.compile(
    r"<thinking_mode>enabled</thinking_mode>\n<max_thinking_length>([1-9][0-9]*)</max_thinking_length>"
)
HINT = "<thinking_mode>enabled</thinking_mode>\n<max_thinking_length>{}</max_thinking_length>"

configs = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=10),
    st.sampled_from(["enabled", "disabled"]),
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["enabled", "adaptive", "disabled", "", "Please think"]) | st.text(max_size=5),
            "budget_tokens": st.integers() | st.text(max_size=5) | st.booleans(),
            "display": st.text(max_size=5),
        },
    ),
    st.builds(ThinkingSetting, enabled=st.booleans(), budget=st.integers(1, 10**6)),
)
systems = st.text() | st.tuples(
    st.text(max_size=9), st.sampled_from(["<thinking_mode>", "<max_thinking_length>"]), st.text(max_size=9)
).map("".join)


# Feature: merge-main-to-release, Property 3: Injection purity
@given(systems, configs, st.booleans())
@settings(max_examples=300)
@example("You are terse.", {"type": "enabled", "budget_tokens": 4000}, True)
def test_nothing_but_the_two_control_tags_is_added(system: str, config: Any, default: bool) -> None:
    injected = inject_thinking_hint(system, config, default)
    if injected == system:
        return
    assert injected.endswith(system)
    added = injected[: len(injected) - len(system)]
    if system:
        assert added.endswith("\n\n"), "a blank line stands between the tags and the system text"
        added = added[:-2]
    assert CONTROL_TAGS.fullmatch(added), f"added {added!r}"


@given(systems, configs)
def test_the_tags_are_put_in_only_once(system: str, config: Any) -> None:
    once = inject_thinking_hint(system, config)
    assert inject_thinking_hint(once, config) == once
    assert inject_thinking_hint(once, {"type": "enabled", "budget_tokens": 5}) in (
        once,
        inject_thinking_hint(system, {"type": "enabled", "budget_tokens": 5}),
    )


@pytest.mark.parametrize(
    ("config", "budget"),
    [
        (True, 200_000),
        ("Enabled", 200_000),
        (None, 200_000),
        ({"type": "adaptive"}, 200_000),
        (ThinkingSetting(), 200_000),
        ({"type": "enabled", "budget_tokens": 1234}, 1234),
        (ThinkingSetting(budget=1234), 1234),
    ],
)
def test_the_tags_stand_ahead_of_the_system_text(config: Any, budget: int) -> None:
    assert generate_thinking_hint(config) == HINT.format(budget)
    assert inject_thinking_hint("Be terse.", config) == HINT.format(budget) + "\n\nBe terse."


def test_without_a_system_text_the_tags_stand_alone() -> None:
    assert inject_thinking_hint("", True) == HINT.format(200_000)


@pytest.mark.parametrize("tag", ["<thinking_mode>", "<max_thinking_length>"])
def test_a_system_text_with_either_tag_is_left_as_it_is(tag: str) -> None:
    system = f"x {tag}…"
    assert inject_thinking_hint(system, True) == system


@pytest.mark.parametrize("config", [False, "disabled", {"type": "disabled"}, ThinkingSetting(enabled=False)])
def test_with_thinking_off_nothing_is_put_in(config: Any) -> None:
    assert inject_thinking_hint("Be terse.", config) == "Be terse."
    assert generate_thinking_hint(config) == ""


def test_an_absent_setting_follows_the_default() -> None:
    assert inject_thinking_hint("Be terse.", None, default=False) == "Be terse."


models = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,30}", fullmatch=True) | st.text(min_size=1, max_size=20)
hashes = st.from_regex(r"[0-9a-f]{8}", fullmatch=True)
signatures = st.from_regex(r"[A-Za-z0-9+/_-]{1,60}={0,2}", fullmatch=True) | st.text(min_size=1, max_size=30)


@given(models, hashes, signatures)
@settings(max_examples=200)
@example("claude-opus-4.8", "01234567", "EqQB+/==")
@example("m.deadbeef.n", "deadbeef", "deadbeef")
@example("m", "00000000", "a.b%2Ec%25.")
def test_wrapped_signatures_come_back_whole(model: str, account_hash: str, signature: str) -> None:
    wrapped = wrap_signature(model, account_hash, signature)
    assert unwrap_signature(wrapped) == Own(model, account_hash, signature)
    if not set(signature) & set(".%"):
        assert wrapped == f"kt1.{model}.{account_hash}.{signature}"


def test_an_account_hash_of_ours_fits_the_form() -> None:
    account_hash = Credentials("secret").account_hash
    assert unwrap_signature(wrap_signature("auto", account_hash, "c2ln")) == Own("auto", account_hash, "c2ln")


@pytest.mark.parametrize(
    ("model", "account_hash", "signature"),
    [
        ("", "01234567", "s"),
        ("m", "0123456", "s"),
        ("m", "0123456G", "s"),
        ("m", "ABCDEF01", "s"),
        ("m", "01234567", ""),
    ],
)
def test_what_could_not_be_read_back_is_not_wrapped(model: str, account_hash: str, signature: str) -> None:
    with pytest.raises(ValueError, match="eight hex digits"):
        wrap_signature(model, account_hash, signature)


def test_the_mark_of_a_tag_block() -> None:
    assert TAG_SIGNATURE == "kt1.tag"
    assert unwrap_signature("kt1.tag") == Tag()


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "EqQBCkYIBRgCKkB+base64/==",
        "kt1.",
        "kt1.tags",
        "kt1.01234567.sig",
        "kt1..01234567.sig",
        "kt1.model.01234567.",
        "kt1.model.0123456.sig",
        "kt1.model.ABCDEF01.sig",
        "kt2.model.01234567.sig",
        "KT1.model.01234567.sig",
    ],
)
def test_foreign_signatures_are_known_as_such(foreign: str) -> None:
    assert unwrap_signature(foreign) is None


@given(st.text())
def test_any_text_can_be_looked_at(text: str) -> None:
    assert unwrap_signature(text) is None or text.startswith("kt1.")


def test_a_signature_fits_only_its_own_model_and_account() -> None:
    own = Own("claude-opus-4.8", "01234567", "sig")
    assert own.fits("claude-opus-4.8", "01234567")
    assert not own.fits("claude-opus-4.7", "01234567")
    assert not own.fits("claude-opus-4.8", "01234568")


NONE, LOW, MEDIUM, HIGH, XHIGH, MAX = (
    Effort.NONE,
    Effort.LOW,
    Effort.MEDIUM,
    Effort.HIGH,
    Effort.XHIGH,
    Effort.MAX,
)
ALL = (LOW, MEDIUM, HIGH, XHIGH, MAX)
OLDER = (LOW, MEDIUM, HIGH, MAX)
GPT = (NONE, *ALL)


def fields(**changes: Any) -> dict[str, Any] | None:
    """`native_fields` of a Claude model with everything at rest, but for `changes`."""
    rest: dict[str, Any] = {
        "family": "claude",
        "enabled": True,
        "effort": None,
        "efforts": ALL,
        "default_effort": HIGH,
        "can_disable": True,
        "display": None,
        "max_tokens": 4096,
    }
    return native_fields(**(rest | changes))


def effort_of(answer: dict[str, Any] | None) -> Any:
    assert answer is not None
    return (answer.get("output_config") or answer.get("reasoning") or {}).get("effort")


def test_claude_thinks_adaptively_at_the_default_effort() -> None:
    assert fields() == {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
    assert fields(default_effort=None) == {"thinking": {"type": "adaptive"}}


def test_claude_is_turned_off_with_its_output_capped() -> None:
    assert fields(enabled=False) == {"thinking": {"type": "disabled"}, "max_tokens": 4096}
    assert fields(enabled=False, max_tokens=None) == {"thinking": {"type": "disabled"}}
    assert fields(effort=NONE) == {"thinking": {"type": "disabled"}, "max_tokens": 4096}


def test_max_tokens_is_never_sent_where_the_model_may_think() -> None:
    assert "max_tokens" not in (fields() or {})
    assert "max_tokens" not in (fields(enabled=False, can_disable=False) or {})
    assert "max_tokens" not in (fields(family="gpt", efforts=GPT, enabled=False) or {}), (
        "GPT's schema has no such field"
    )


def test_a_model_that_cannot_be_turned_off_thinks_on() -> None:
    answer = fields(enabled=False, can_disable=False, default_effort=MEDIUM)
    assert answer == {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}
    assert effort_of(fields(effort=NONE, can_disable=False, default_effort=MEDIUM)) == "low"


def test_the_client_s_effort_is_sent_with_and_without_thinking() -> None:
    assert effort_of(fields(effort=LOW)) == "low"
    assert effort_of(fields(effort=LOW, enabled=False)) == "low"


@pytest.mark.parametrize(
    ("wanted", "efforts", "sent"),
    [
        (XHIGH, ALL, "xhigh"),
        (XHIGH, OLDER, "high"),
        (MAX, (LOW, MEDIUM), "medium"),
        (Effort.MINIMAL, ALL, "low"),
        (Effort.MINIMAL, GPT, "low"),
        (LOW, (HIGH, MAX), "high"),
        (HIGH, (), None),
        (XHIGH, tuple(reversed(OLDER)), "high"),
    ],
)
def test_effort_is_clamped_to_what_the_model_allows(wanted: Effort, efforts: tuple[Effort, ...], sent: str) -> None:
    assert effort_of(fields(effort=wanted, efforts=efforts)) == sent


@pytest.mark.parametrize(
    ("display", "sent"),
    [("summarized", "summarized"), ("omitted", "omitted"), ("updates", None), (None, None)],
)
def test_only_what_kiro_knows_of_display_is_sent(display: str | None, sent: str | None) -> None:
    answer = fields(display=display)
    assert answer is not None
    assert answer["thinking"].get("display") == sent
    assert fields(display=display, enabled=False, max_tokens=None) == {"thinking": {"type": "disabled"}}


def test_gpt_gets_reasoning_effort_and_nothing_else() -> None:
    gpt = {"family": "gpt", "efforts": GPT, "display": "omitted"}
    assert fields(**gpt) == {"reasoning": {"effort": "high"}}
    assert fields(**gpt, effort=XHIGH) == {"reasoning": {"effort": "xhigh"}}
    assert fields(**gpt, effort=NONE) == {"reasoning": {"effort": "none"}}
    assert fields(**gpt, enabled=False) == {"reasoning": {"effort": "none"}}
    assert fields(**gpt | {"efforts": ALL}, enabled=False) == {"reasoning": {"effort": "low"}}
    assert fields(**gpt, default_effort=None) is None


@pytest.mark.parametrize(
    ("budget", "effort"),
    [(1, LOW), (10_000, LOW), (10_001, MEDIUM), (20_000, MEDIUM), (20_001, HIGH), (28_000, HIGH), (28_001, MAX)],
)
def test_a_budget_stands_for_an_effort(budget: int, effort: Effort) -> None:
    assert budget_effort(budget) is effort
    assert effort_of(fields(budget=budget)) == effort.value
    assert effort_of(fields(family="gpt", efforts=GPT, budget=budget)) == effort.value


def test_effort_wins_over_a_budget() -> None:
    assert effort_of(fields(budget=31_999, effort=LOW)) == "low"


def test_a_budget_counts_only_while_thinking_is_on() -> None:
    assert fields(budget=5000, enabled=False, max_tokens=None) == {"thinking": {"type": "disabled"}}


def test_a_budget_that_the_client_did_not_name_is_none() -> None:
    assert asked_budget(ThinkingSetting(asked=True, budget=5000)) == 5000
    assert asked_budget(ThinkingSetting(asked=True)) is None
    assert asked_budget(ThinkingSetting(asked=False, budget=5000)) is None


@given(
    family=st.sampled_from(["claude", "gpt"]),
    enabled=st.booleans(),
    effort=st.none() | st.sampled_from(Effort),
    efforts=st.sampled_from([ALL, OLDER, GPT, (), (MEDIUM,)]),
    default_effort=st.none() | st.sampled_from(ALL),
    can_disable=st.booleans(),
    display=st.sampled_from([None, "summarized", "omitted", "updates"]),
    max_tokens=st.none() | st.integers(1, 10**6),
    budget=st.none() | st.integers(1, 10**6),
)
@settings(max_examples=200)
def test_no_field_is_sent_that_the_family_s_schema_lacks(**setting: Any) -> None:
    answer = native_fields(**setting)
    if answer is None:
        return
    allowed = {"claude": {"thinking", "output_config", "max_tokens"}, "gpt": {"reasoning"}}[setting["family"]]
    assert answer
    assert set(answer) <= allowed
    assert effort_of(answer) in {None, *(effort.value for effort in setting["efforts"])}
    if setting["family"] == "claude":
        assert ("max_tokens" in answer) <= (answer["thinking"]["type"] == "disabled")
        assert (answer["thinking"]["type"] == "disabled") <= setting["can_disable"]
