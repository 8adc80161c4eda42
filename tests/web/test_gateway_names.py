"""What gateways are called that call themselves alike."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.store.holders import are_family, mark_of, new_holder
from kirotrio.web.several.names import told_apart

HEX = "0123456789abcdef"


@attrs.frozen
class House:
    """A gateway: what it calls itself, and the holders of its processes."""

    name: str
    holders: list[str]


@st.composite
def houses(draw: st.DrawFn) -> list[House]:
    """Gateways of few machines, names and families, so that they meet in all of these."""
    machines = st.sampled_from(["kirotrio-0123456789ab", "kirotrio-ba9876543210", "kirotrio"])
    found: dict[tuple[str, str], House] = {}
    for _ in range(draw(st.integers(1, 6))):
        machine, name = draw(machines), draw(st.sampled_from(["kirotrio:8000", "kirotrio:80", "other:8000"]))
        mark = draw(st.text(HEX, min_size=2, max_size=2))
        if draw(st.booleans()):
            holders = [f"{machine}:{number}:{mark}.{number:016x}" for number in range(draw(st.integers(1, 3)))]
        else:
            holders = [f"{machine}:{draw(st.integers(1, 9))}:{mark}"]
        found.setdefault((machine, mark), House(name, holders))
    return list(found.values())


@given(houses())
def test_no_two_gateways_are_called_alike_and_the_processes_of_one_are(gateways: list[House]) -> None:
    called = told_apart({holder: one.name for one in gateways for holder in one.holders})
    names = [{called[holder] for holder in one.holders} for one in gateways]
    assert all(len(one) == 1 for one in names), f"processes of one gateway are called differently: {called}"
    assert len(set.union(*names)) == len(gateways), f"two gateways are called alike: {called}"


@given(houses())
def test_who_calls_itself_as_no_other_does_is_called_so(gateways: list[House]) -> None:
    called = told_apart({holder: one.name for one in gateways for holder in one.holders})
    for one in gateways:
        alone = sum(other.name == one.name for other in gateways) == 1
        shown = called[one.holders[0]]
        assert shown == one.name if alone else shown.startswith(f"{one.name}#"), called


@given(houses())
def test_processes_have_a_mark_in_common_where_they_are_one_gateways(gateways: list[House]) -> None:
    holders = [holder for one in gateways for holder in one.holders]
    for one in holders:
        for other in holders:
            assert (mark_of(one) == mark_of(other)) == are_family(one, other), f"{one} and {other}"


def test_containers_are_told_apart_by_four_signs() -> None:
    one, other, elsewhere = (new_holder() for _ in range(3))
    called = told_apart({one: "kirotrio:8000", other: "kirotrio:8000", elsewhere: "kirotrio:8001"})
    assert called == {
        one: f"kirotrio:8000#{mark_of(one)[:4]}",
        other: f"kirotrio:8000#{mark_of(other)[:4]}",
        elsewhere: "kirotrio:8001",
    }


def test_marks_that_begin_alike_are_shown_as_far_as_they_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    marks = {"one": "abcdef01", "two": "abcdef11", "three": "bbbbbbbb"}
    monkeypatch.setattr("kirotrio.web.several.names.mark_of", marks.__getitem__)
    assert told_apart(dict.fromkeys(marks, "kirotrio:8000")) == {
        "one": "kirotrio:8000#abcdef0",
        "two": "kirotrio:8000#abcdef1",
        "three": "kirotrio:8000#bbbbbbb",
    }
