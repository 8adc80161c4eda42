"""The rows of the table as data: what each sends, how its figures are called and what they have to reach."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from benchmarks.results import LESS


@frozen
class Figure:
    """One figure: its unit, what it has to stay below, and the stretch where there is one.

    `floor` is what the floor took on the machine that the targets come from, where that is known.
    """

    unit: str
    target: float | None = None
    stretch: float | None = None
    least: bool = False
    """The target is a least value."""
    floor: float | None = None


@frozen
class Scenario:
    """One row. `kind` names the function of `measure` that carries it out, `order` is what it needs for that.

    `whole` and `quick` are how many requests, or seconds where streams stay open, or rounds, of one sample. `turns`:
    the samples of a whole pass, floor and gateway in turn; a quick one has one. `needs`: the rows that this one's
    figures are made of; it has no `kind` then.
    """

    name: str
    work: str
    kind: str
    figures: Mapping[str, Figure]
    order: Mapping[str, Any]
    whole: float = 0
    quick: float = 0
    floor: bool = True
    turns: int = 1
    needs: tuple[str, ...] = ()

    @property
    def upstream(self) -> str:
        """Who answers: the simulator where one request at a time is asked, else what can keep up with a gateway."""
        return "simulator" if self.kind in ("idle", "leaving", "cold") else "ready bytes"


GROWTH = 1.3
GAP_MS = 25
"""Between two events of a paced stream."""
_TURNS = 4
_REQUEST = "cpu ms/request"
_EVENT = "cpu µs/event"


def _requests(name: str, work: str, order: Mapping[str, Any], counts: tuple[int, int], figure: Figure) -> Scenario:
    return Scenario(name, work, "requests", {_REQUEST: figure}, order, *counts, turns=_TURNS)


def _events(
    name: str, work: str, order: Mapping[str, Any], counts: tuple[int, int], events: int, **figures: Figure
) -> Scenario:
    named = {key.replace("_", " "): figure for key, figure in figures.items() if key != "cpu"}
    named = {_EVENT: figures["cpu"], **named}
    order = {**order, "answer": f"events={events} " + order.get("answer", "")}
    return Scenario(name, work, "events", named, order, *counts, turns=_TURNS)


def _burst(name: str, api: str, target: float, floor: float | None = None) -> Scenario:
    work = f"500 events of 12 characters at once, 4 connections, {api}"
    return _events(name, work, {"api": api, "connections": 4}, (80, 16), 500, cpu=Figure("µs", target, floor=floor))


def _paced(
    name: str,
    streams: int,
    late: float | None,
    cpu: Figure,
    *,
    seconds: float = 4,
    turns: int = 1,
    spread: bool = False,
) -> Scenario:
    """Measured for so many seconds a sample, once all streams have begun."""
    answer = f"events=1000000 gap_ms={GAP_MS}{' spread=1' if spread else ''}"
    order = {"api": "messages", "connections": streams, "answer": answer, "timed": True}
    figures = {_EVENT: cpu, "late p99": Figure("ms", late), "alone": Figure("%"), "delivered": Figure("%")}
    work = f"{streams} streams, an event each {GAP_MS} ms{', spread evenly over it' if spread else ''}"
    return Scenario(name, work, "paced", figures, order, whole=seconds, quick=1, turns=turns)


def _long(
    name: str,
    size: int,
    counts: tuple[int, int],
    target: float | None = None,
    *,
    fresh: bool,
    floor: float | None = None,
) -> Scenario:
    order = {"api": "messages", "connections": 1, "conversation": size, "fresh": fresh, "answer": "events=5"}
    new = "all of it new" if fresh else "only the last message new"
    return _requests(name, f"{size / 1e6:g} MB body, {new}, 5 events", order, counts, Figure("ms", target, floor=floor))


def _start(target: float, stretch: float) -> Mapping[str, Figure]:
    """The first 200 of whatever is asked for: the person who waits for an answer waits for all of it."""
    return {name: Figure("s", target, stretch) for name in ("health", "new folder", "answer")}


_SMALL = {"api": "messages", "connections": 8, "answer": "events=20"}
_TWENTY = (300, 80)

SCENARIOS: tuple[Scenario, ...] = (
    _requests(
        "S1",
        "20 events, JSON answer, 8 connections",
        {**_SMALL, "stream": False},
        _TWENTY,
        Figure("ms", 2.5, 1.8, floor=0.13),
    ),
    _requests("S1s", "20 events, streamed, 8 connections", _SMALL, _TWENTY, Figure("ms", 2.5, 1.8, floor=0.13)),
    _burst("S2", "messages", 7, floor=3.3),
    _burst("S2o", "chat", 9),
    _burst("S2r", "responses", 9),
    _burst("S7", "cc", 7),
    _paced("S2p", 40, 10, Figure("µs", 110, 80, floor=39), seconds=1.5, turns=3),
    _paced("S2p-spread", 40, 10, Figure("µs", 110, 80), seconds=1.5, turns=3, spread=True),
    Scenario(
        "S3",
        "200 streams × 100 events, 20 ms",
        "events",
        {
            "wall": Figure("s", 2.7, 2.3),
            "first p50": Figure("ms", 300),
            "late p99": Figure("ms", 100),
            _EVENT: Figure("µs"),
        },
        {"api": "messages", "connections": 200, "answer": "events=100 gap_ms=20", "timed": True},
        200,
        200,
    ),
    Scenario(
        "S4",
        "1000 streams, one event a second",
        "held",
        {
            "held": Figure("streams", 1000, least=True),
            "memory": Figure("kB/stream", 75, 50),
            "closed": Figure("s", 1.0),
        },
        {"api": "messages", "connections": 1000, "answer": "events=100000 gap_ms=1000", "timed": True, "ramp": 0.2},
        5,
        1,
    ),
    Scenario(
        "S4i",
        "memory (PSS) after the first answer",
        "idle",
        {"without tokenizer": Figure("MB", 60), "with tokenizer": Figure("MB", 110)},
        {},
        floor=False,
    ),
    Scenario(
        "S5",
        "the client leaves (FIN, RST): median, worst of live, buffered and JSON",
        "leaving",
        {f"{state} {how}": Figure("ms", 5) for state in ("flowing", "silent", "no head") for how in ("FIN", "RST")},
        {},
        10,
        2,
    ),
    _long("S6", 1_500_000, (12, 3), 25, fresh=True, floor=12),
    _long("S6n", 1_500_000, (12, 3), 12, fresh=False),
    Scenario(
        "S8",
        "cold start to the first 200",
        "cold",
        _start(0.6, 0.45),
        {},
        floor=False,
    ),
    Scenario(
        "S8x",
        "the same, one-file executable",
        "cold",
        _start(1.1, 0.9),
        {"executable": True},
        floor=False,
    ),
    Scenario(
        "S2w",
        "streams of S2p that --workers 2 carries, over those of --workers 1; load on both processors",
        "workers",
        {"1 worker": Figure("streams"), "2 workers": Figure("streams"), "ratio": Figure("×", 1.5, least=True)},
        {},
        floor=False,
    ),
    _paced("S9-10", 10, None, Figure("µs")),
    _paced("S9-100", 100, None, Figure("µs")),
    _paced("S9-400", 400, None, Figure("µs")),
    _long("S9-0MB", 1_000, (50, 20), fresh=True),
    _long("S9-0.1MB", 100_000, (30, 10), fresh=True),
    _long("S9-6MB", 6_000_000, (2, 1), fresh=True),
    Scenario(
        "S9",
        "growth: CPU an event over that of 10 streams, CPU a megabyte over that of 0.1 MB",
        "",
        {
            "event at 100 streams": Figure("×", GROWTH),
            "event at 400 streams": Figure("×", GROWTH),
            **{f"a MB at {size} MB{less}": Figure("×", GROWTH) for less in ("", LESS) for size in (1.5, 6)},
        },
        {},
        needs=("S9-10", "S9-100", "S9-400", "S9-0MB", "S9-0.1MB", "S6", "S9-6MB"),
    ),
)


def chosen(names: str) -> tuple[Scenario, ...]:
    """The scenarios of these names, separated by commas (`S9` means all that begin so with a dash); all for "".

    Raises KeyError for a name that there is not.
    """
    wanted = [name.strip().lower() for name in names.split(",") if name.strip()]
    for name in wanted:
        if not any(_is(scenario, name) for scenario in SCENARIOS):
            raise KeyError(name)
    taken = {one.name for one in SCENARIOS if not wanted or any(_is(one, name) for name in wanted)}
    taken |= {needed for one in SCENARIOS if one.name in taken for needed in one.needs}
    return tuple(one for one in SCENARIOS if one.name in taken)


def _is(scenario: Scenario, name: str) -> bool:
    return scenario.name.lower() == name or scenario.name.lower().startswith(name + "-")
