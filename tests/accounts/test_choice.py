"""In which order accounts are asked: stable, even, and no more movement than is needed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kirotrio.accounts.lending import choice
from kirotrio.accounts.lending.choice import Candidate, Choice

STRATEGIES = ("sticky", "priority", "balanced", "round-robin")

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
sessions = st.text(max_size=12)
candidates = st.lists(
    st.builds(
        Candidate,
        name=names,
        priority=st.integers(0, 3),
        credits_left=st.none() | st.sampled_from([0.0, 1.0, 500.0, float("inf"), float("nan")]) | st.floats(0, 1e6),
    ),
    max_size=6,
    unique_by=lambda candidate: candidate.name,
)


def named(*wanted: str) -> list[Candidate]:
    return [Candidate(name) for name in wanted]


def first(chooser: Choice, among: list[Candidate], session: str) -> str:
    return chooser.pick(among, session)[0].name


@given(st.sampled_from(STRATEGIES), candidates, sessions, st.randoms(use_true_random=False))
def test_every_candidate_is_in_the_order_once_and_their_own_order_is_of_no_matter(
    strategy: str, among: list[Candidate], session: str, random: object
) -> None:
    shuffled = list(among)
    random.shuffle(shuffled)
    order = [one.name for one in Choice(strategy).pick(among, session)]
    assert sorted(order) == sorted(one.name for one in among)
    assert [one.name for one in Choice(strategy).pick(shuffled, session)] == order


def test_an_unknown_strategy_is_named() -> None:
    with pytest.raises(ValueError, match="'random'"):
        Choice("random")


# -- sticky -----------------------------------------------------------------------------------------------------------


@given(candidates, sessions)
def test_fresh_sessions_go_to_the_same_account_on_every_gateway(among: list[Candidate], session: str) -> None:
    one, other = Choice("sticky"), Choice("sticky")
    for number in range(5):
        one.served(f"earlier {number}", "somewhere")
    assert one.pick(among, session) == other.pick(among, session)


@given(candidates.filter(lambda among: len(among) > 1), sessions, st.data())
def test_only_the_sessions_of_an_account_that_leaves_move(
    among: list[Candidate], session: str, data: st.DataObject
) -> None:
    leaving = data.draw(st.sampled_from(among))
    order = Choice().pick(among, session)
    without = Choice().pick([one for one in among if one is not leaving], session)
    assert without == [one for one in order if one is not leaving], "the order of the others stays"


@settings(max_examples=15, deadline=None)
@given(st.sets(names, min_size=2, max_size=5), st.integers(0, 10**6))
def test_sessions_spread_evenly(accounts: set[str], start: int) -> None:
    among, many = named(*accounts), 1500
    counts = Counter(first(Choice(), among, f"session {start + number}") for number in range(many))
    share = many / len(accounts)
    for name in accounts:
        assert abs(counts[name] - share) < 7 * share**0.5, f"{counts} is no even share"


@given(candidates.filter(bool), sessions, st.data())
def test_a_session_stays_where_it_was_served_last(among: list[Candidate], session: str, data: st.DataObject) -> None:
    chooser = Choice()
    moved_to = data.draw(st.sampled_from(among)).name
    chooser.served(session, moved_to)
    order = chooser.pick(among, session)
    assert order[0].name == moved_to
    assert order[1:] == [one for one in Choice().pick(among, session) if one.name != moved_to]
    others = [one for one in among if one.name != moved_to]
    assert chooser.pick(others, session) == Choice().pick(others, session), "one that cannot serve is not waited for"
    assert first(chooser, among, session) == moved_to, "and is gone back to"


def test_remembered_sessions_are_bounded_and_the_idle_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "SESSIONS", 3)
    chooser, among = Choice(), named("a", "b")
    # Sessions that belong to one account and were moved to the other.
    moved = [name for number in range(60) if first(Choice(), among, name := f"s{number}") == "a"][:4]
    for session in moved[:3]:
        chooser.served(session, "b")
    chooser.served(moved[0], "b")
    chooser.served(moved[3], "b")
    assert [first(chooser, among, session) for session in moved] == ["b", "a", "b", "b"], "the second was idle longest"


# -- priority and balanced --------------------------------------------------------------------------------------------


@given(candidates, sessions)
def test_priority_asks_the_smallest_number_first_and_then_by_name(among: list[Candidate], session: str) -> None:
    order = [(one.priority, one.name) for one in Choice("priority").pick(among, session)]
    assert order == sorted(order)


@given(candidates, sessions)
def test_balanced_asks_the_one_with_most_credits_left(among: list[Candidate], session: str) -> None:
    order = Choice("balanced").pick(among, session)
    known = [one.credits_left for one in order if one.credits_left is not None and one.credits_left >= 0]
    assert known == sorted(known, reverse=True)


def test_unknown_credits_count_as_the_mean() -> None:
    among = [Candidate("poor", credits_left=10.0), Candidate("new"), Candidate("rich", credits_left=100.0)]
    assert [one.name for one in Choice("balanced").pick(among, "s")] == ["rich", "new", "poor"]


@given(sessions, st.floats(0, 100) | st.none())
def test_balanced_equals_share_the_sessions_and_keep_them(session: str, left: float | None) -> None:
    among = [Candidate(name, credits_left=left) for name in ("a", "b", "c")]
    assert Choice("balanced").pick(among, session) == Choice("sticky").pick(among, session)


# -- round robin ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sets(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=60))
def test_nobody_has_two_turns_while_another_waits_for_one(rounds: list[set[str]]) -> None:
    """Between two turns of an account that was there all the time, every other has one at most; however the set
    changes."""
    chooser = Choice("round-robin")
    turns = [first(chooser, named(*present), "s") for present in rounds]
    for waiting in "abcdef":
        own = [number for number, name in enumerate(turns) if name == waiting]
        for last, again in pairwise([-1, *own, len(turns)]):
            between = range(last + 1, again)
            if all(waiting in rounds[number] for number in between):
                counts = Counter(turns[number] for number in between)
                assert all(count == 1 for count in counts.values()), f"{waiting} waited through {counts}"


def test_a_newcomer_has_one_turn_at_once_and_not_all_that_it_missed() -> None:
    chooser = Choice("round-robin")
    for _ in range(10):
        chooser.pick(named("a", "b"), "s")
    turns = "".join(first(chooser, named("a", "b", "c"), "s") for _ in range(6))
    assert turns == "cabcab"


def test_the_turn_of_whoever_answered_in_anothers_place_is_over() -> None:
    chooser = Choice("round-robin")
    chooser.pick(named("a", "b", "c"), "s")
    chooser.served("s", "b")
    assert [one.name for one in chooser.pick(named("a", "b", "c"), "s")] == ["c", "a", "b"]
