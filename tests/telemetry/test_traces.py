"""Traces wait for their collector, within bounds."""

from __future__ import annotations

from collections.abc import Sequence

import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.config.settings import TelemetrySettings
from kirotrio.telemetry.log import RecordingLog
from kirotrio.telemetry.traces import Place, Refused, Span, Trace, Traces, place_of


def trace(number: int) -> Trace:
    return Trace(root=Span(name=str(number), began_at=0.0, ended_at=1.0), trace_id="1" * 32)


class Away:
    """A collector that takes nothing until `here`."""

    def __init__(self) -> None:
        self.here = False
        self.tries = 0
        self.got: list[str] = []

    def __call__(self, traces: Sequence[Trace]) -> None:
        self.tries += 1
        if not self.here:
            raise Refused("away", again=True)
        self.got += [one.root.name for one in traces]


async def test_the_oldest_are_dropped_and_counted_while_the_collector_is_away(
    monkeypatch, autojump_clock: trio.testing.MockClock
) -> None:
    async def at_once(work, *arguments, **_):
        await trio.lowlevel.checkpoint()
        return work(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", at_once)  # a thread knows no mock clock
    away = Away()
    traces = Traces(TelemetrySettings(max_traces=5, otlp_every=1.0), away, RecordingLog())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(traces.run)
        for number in range(8):
            traces.put(trace(number))
        await trio.sleep(600)
        assert traces.dropped == 3
        assert 8 <= away.tries <= 20, "tries become rarer, a minute apart at most"
        away.here = True
        await trio.sleep(61)
        assert away.got == ["3", "4", "5", "6", "7"]
        traces.put(trace(8))
        nursery.cancel_scope.cancel()
    assert away.got[-1] == "8", "what waits at the end is sent"
    assert traces.dropped == 3


@given(text=st.text(max_size=80))
def test_what_is_no_place_in_a_trace_says_nothing(text: str) -> None:
    place_of(text)


def test_places_are_read_as_the_standard_has_them() -> None:
    trace_id, span_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    assert place_of(f"00-{trace_id}-{span_id}-01") == Place(trace_id, span_id, sampled=True)
    assert place_of(f"00-{trace_id}-{span_id}-02") == Place(trace_id, span_id, sampled=False)
    assert place_of(f"01-{trace_id}-{span_id}-01-more") == Place(trace_id, span_id, sampled=True)
    for wrong in (
        f"ff-{trace_id}-{span_id}-01",
        f"00-{trace_id}-{span_id}-01-more",
        f"00-{'0' * 32}-{span_id}-01",
        f"00-{trace_id}-{'0' * 16}-01",
        f"00-{trace_id.upper()}-{span_id}-01",
        "",
    ):
        assert place_of(wrong) is None, wrong
