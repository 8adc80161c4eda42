"""Events as timed writes: pauses, cuts, stalls and damage are put in here, and nowhere else.

What follows without a pause leaves together, in runs of at most 64 KiB, so that a peer who has left is noticed
between two runs and one that reads slowly holds the writer back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from kirotrio.kiro.eventstream import encode_event
from kirotrio.simulator.answers import Ending, Step
from kirotrio.simulator.controls import Controls
from kirotrio.simulator.generate import Event

_LARGEST_RUN = 64 * 1024
_NOT_JSON = b'{"content":"this is where it bre'
_PRELUDE_CRC = 8

Script: TypeAlias = Iterator[Step | Ending]


def steps(opening: bytes, events: Iterator[Event], controls: Controls) -> Script:
    """The writes of one stream; the last item is its ending.

    `opening` is the first frame, which leaves with the first event and is not counted. `cut_after` and
    `stall_after` beyond the last event do nothing.
    """
    gap = controls.gap_ms / 1000
    pause = controls.first_ms / 1000
    damage = _Damage(controls)
    run: list[bytes] = [opening]
    size, counted, number = len(opening), 0, 0
    for event_type, whole in events:
        if number == controls.stall_after:
            break
        if number == controls.cut_after:
            # The opening counts with the first event: a cut before that event falls into the opening.
            run = run if number else []
            yield Step(pause, b"".join([*run, _last_piece(controls.cut, whole if number else opening)]), counted)
            yield _CUTS[controls.cut]
            return
        number += 1
        frame = damage.apply(number, event_type, whole) if controls.corrupt else whole
        run.append(frame)
        size += len(frame)
        counted += 1
        if gap or size >= _LARGEST_RUN:
            yield Step(pause, run[0] if len(run) == 1 else b"".join(run), counted)
            run, size, counted = [], 0, 0
            pause = gap
    if number == controls.stall_after:
        if counted:
            yield Step(pause, b"".join(run), counted)
        yield Ending.STALL
        return
    if number == controls.cut_after:
        run.append(_last_piece(controls.cut, encode_event("meteringEvent", b"{}")))
    if run:
        yield Step(pause, b"".join(run), counted)
    yield _CUTS[controls.cut] if number == controls.cut_after else Ending.FINISH


_CUTS = {
    "half": Ending.CLOSE,
    "boundary": Ending.CLOSE,
    "half-terminated": Ending.FINISH,
    "boundary-terminated": Ending.FINISH,
    "reset": Ending.RESET,
}


def _last_piece(cut: str, frame: bytes) -> bytes:
    return b"" if cut.startswith("boundary") else frame[: len(frame) // 2]


class _Damage:
    """Damages one frame: the one of `corrupt_at`'s number, or the first of `corrupt_at`'s type."""

    def __init__(self, controls: Controls) -> None:
        self._kind = controls.corrupt
        self._at = controls.corrupt_at
        self._done = False

    def apply(self, number: int, event_type: str, frame: bytes) -> bytes:
        if self._done or self._at not in (str(number), event_type):
            return frame
        self._done = True
        if self._kind == "json":
            return encode_event(event_type, _NOT_JSON)
        position = _PRELUDE_CRC if self._kind == "prelude" else len(frame) - 1
        damaged = bytearray(frame)
        damaged[position] ^= 0xFF
        return bytes(damaged)
