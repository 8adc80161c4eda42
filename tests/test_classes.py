"""Classes made without attrs' own repr are otherwise as attrs makes them, and show themselves the same way."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio import classes


def made(by: Any, **options: Any) -> type:
    """A class with one field of each kind that shows itself differently."""

    @by(**options)
    class Shown:
        plain: object
        hidden: object = attrs.field(default="secret", repr=False)
        short: str = attrs.field(default="long", repr=lambda text: text[:2])
        late: object = attrs.field(init=False)

    return Shown


PAIRS = [
    (made(ours, **options), made(theirs, **options))
    for ours, theirs in ((classes.define, attrs.define), (classes.frozen, attrs.frozen))
    for options in ({}, {"slots": False}, {"kw_only": True}, {"eq": False})
]


@given(st.sampled_from(PAIRS), st.text() | st.none() | st.lists(st.integers()))
def test_an_object_shows_what_attrs_would_show(pair: tuple[type, type], value: object) -> None:
    ours, theirs = (made(plain=value) for made in pair)
    assert repr(ours) == repr(theirs)
    for one in (ours, theirs):
        object.__setattr__(one, "late", value)
    assert repr(ours) == repr(theirs)
    assert "secret" not in repr(ours)


def test_an_object_that_holds_itself_is_shown() -> None:
    (ours, theirs) = (pair(plain=None) for pair in PAIRS[0])
    for one in (ours, theirs):
        one.plain = [one]
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("decorator", [classes.define, classes.frozen])
def test_a_repr_of_its_own_stays_and_is_not_inherited(decorator: Any) -> None:
    @decorator
    class Own:
        field: int = 1

        def __repr__(self) -> str:
            return "own"

    @decorator
    class Further(Own):
        pass

    @decorator(repr=False)
    class Silent(Own):
        pass

    assert [repr(one()) for one in (Own, Further, Silent)] == ["own", "Further(field=1)", "own"]


def test_everything_else_is_what_attrs_makes() -> None:
    for ours, theirs in PAIRS:
        assert set(vars(ours)) == set(vars(theirs))
        assert [one.name for one in attrs.fields(ours)] == [one.name for one in attrs.fields(theirs)]
