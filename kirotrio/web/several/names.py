"""What the gateways on one database are called where a person is to tell them apart. Pure.

A gateway is called after its machine and its port, which containers may have in common. Those get a short mark besides,
which is the same whichever gateway tells it, for as long as they run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from kirotrio.store.holders import mark_of

_SHORT: Final = 4
"""Signs of a mark that are shown, where they are enough."""


def told_apart(names: Mapping[str, str]) -> dict[str, str]:
    """What each holder's gateway is to be called, where these are their own names: as it calls itself where no other
    one does, and with `#` and a mark behind it where one does. Holders of one gateway are called alike."""
    marks = {holder: mark_of(holder) for holder in names}
    alike: defaultdict[str, set[str]] = defaultdict(set)
    for holder, name in names.items():
        alike[name].add(marks[holder])
    shown = {name: _shown(found) for name, found in alike.items()}
    return {holder: f"{name}#{marks[holder][: shown[name]]}" if shown[name] else name for holder, name in names.items()}


def _shown(marks: set[str]) -> int:
    """How many signs tell these apart."""
    if len(marks) < 2:
        return 0
    return next(many for many in range(_SHORT, 41) if len({mark[:many] for mark in marks}) == len(marks))
