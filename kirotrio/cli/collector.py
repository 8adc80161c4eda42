"""The garbage collector of a process that keeps running."""

from __future__ import annotations

import gc

_YOUNGEST = 10_000
"""New objects between two looks at the youngest; requests free theirs without it."""


def settle() -> None:
    """Call it once a program is ready: what has been imported and made by then stays as long as the process, and is
    never looked at again; from here on the collector works as usual."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNGEST, 10, 10)
