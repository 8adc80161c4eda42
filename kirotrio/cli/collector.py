"""The garbage collector: out of the way of a start, and set up for a process that keeps running."""

from __future__ import annotations

import gc

_YOUNGEST = 10_000
"""New objects between two looks at the youngest; requests free theirs without it."""


def settle() -> None:
    """Call it once, when a program that keeps running has loaded what it always needs.

    That stays as long as the process, and is not looked at again: it would take 30 ms of every look at old objects.
    """
    gc.freeze()
    gc.set_threshold(_YOUNGEST, 10, 10)
