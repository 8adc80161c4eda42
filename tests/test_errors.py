"""Errors that are kept as answers."""

from __future__ import annotations

import gc
import weakref

import pytest

from kirotrio.errors import KirotrioError, UpstreamFailed, without_frames


class _Request:
    """Whatever a frame holds."""


def _fail(request: _Request) -> None:
    failures: list[BaseException] = []  # in the frame that the failure's traceback leads to
    try:
        try:
            raise ExceptionGroup("of a nursery", [OSError("a socket")])
        except ExceptionGroup as group:
            failures.append(group)
            raise UpstreamFailed("cut") from group.exceptions[0]
    except UpstreamFailed as cut:
        failures.append(cut)
        failures.append(KirotrioError("the end"))
        raise failures[-1] from failures[-1]


def test_an_error_that_is_kept_keeps_nothing_of_the_request() -> None:
    gc.disable()
    try:
        request = _Request()
        there = weakref.ref(request)
        with pytest.raises(KirotrioError) as raised:
            _fail(request)
        kept = without_frames(raised.value)
        del raised, request
        assert there() is None, "the frames of its traceback are held"
        assert (str(kept), kept.__traceback__, kept.__cause__, kept.__context__) == ("the end", None, None, None)
    finally:
        gc.enable()


@pytest.mark.parametrize("nested", [False, True])
def test_a_group_that_nobody_raised_keeps_nothing_of_the_request_either(nested: bool) -> None:
    def fail(request: _Request) -> KirotrioError:
        try:
            raise OSError("a socket")
        except OSError as inner:
            group = ExceptionGroup("of a nursery", [inner])
            error = KirotrioError("the end")
            error.__cause__ = ExceptionGroup("around it", [group]) if nested else group
            return error

    gc.disable()
    try:
        request = _Request()
        there = weakref.ref(request)
        kept = without_frames(fail(request))
        del request
        assert there() is None, "the frames of an exception in the group are held"
        assert kept.__cause__ is None
    finally:
        gc.enable()
