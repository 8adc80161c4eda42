"""Whatever a request comes to, its record, the lists, the overview, the metrics, the log, traces and `top` say the same
of how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from io import StringIO
from types import SimpleNamespace
from typing import Any, cast

import attrs
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relay.conftest import hello
from rich.console import Console
from support.engines import emptied
from trio.testing import MockClock

from kirotrio.cli.live_view import page
from kirotrio.config.settings import Settings
from kirotrio.conversation.events import Failed, Finish, StopCause, Usage
from kirotrio.errors import Cause, KirotrioError
from kirotrio.relay.course import Course
from kirotrio.relay.outcome import tell
from kirotrio.relay.request import AnswerRequest, Mode, Relay
from kirotrio.relay.tally import Lately
from kirotrio.store import overview_rows, request_rows
from kirotrio.store.database import Database
from kirotrio.store.listing import Listing
from kirotrio.store.overview import Chosen
from kirotrio.store.request_endings import Ending
from kirotrio.store.request_record import RequestRecord
from kirotrio.telemetry.log import RecordingLog
from kirotrio.telemetry.traces import Trace
from kirotrio.web.finishing import finish
from kirotrio.web.incoming import Incoming

LABELS = {one: "client gone" if one is Ending.LEFT else one.value for one in Ending}


def kinds(base: type[KirotrioError] = KirotrioError) -> list[type[KirotrioError]]:
    """Every kind of error that there is, once each."""
    return [base, *dict.fromkeys(kind for below in base.__subclasses__() for kind in kinds(below))]


def made(kind: type[KirotrioError], cause: Cause | None) -> KirotrioError:
    error = kind.__new__(kind)
    KirotrioError.__init__(error, "it came to this", cause=cause if kind is KirotrioError else None)
    return error


_errors = st.builds(made, st.sampled_from(kinds()), st.none() | st.sampled_from(Cause))
_cut = st.sampled_from(["left", "stopped"])
_finish = st.sampled_from(StopCause).map(lambda cause: Finish(cause, Usage(1, 1)))
_answered = st.tuples(st.just("relay"), _errors.map(Failed) | _cut | _finish)
_refused = st.tuples(st.just("ahead of it"), _errors)


class Traced:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.kept: list[Trace] = []
        self.put = self.kept.append

    def wanted(self, traceparent: str) -> tuple[str, str]:
        return "0" * 32, ""


@attrs.define
class Told:
    """What was said of some requests."""

    records: list[RequestRecord] = attrs.field(factory=list)
    log: RecordingLog = attrs.field(factory=RecordingLog)
    traces: Traced = attrs.field(factory=Traced)
    relay: Relay = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        nobody = cast(Any, None)  # none of this is asked for at the end of a request
        self.relay = Relay(Settings(), nobody, nobody, nobody, nobody, self.log)
        self.relay = attrs.evolve(self.relay, record=self.records.append, traces=cast(Any, self.traces))

    def end(self, where: str, how: Any) -> None:
        if where == "relay":
            request = AnswerRequest(hello(), Mode.LIVE, f"req_{len(self.records)}", key_id="k1", surface="messages")
            self.relay.streams.cut = how == "stopped"
            end = None if isinstance(how, str) else how
            tell(self.relay, request, None, end, Course(trio.current_time(), None, None, None, None))
        else:
            incoming = Incoming("/v1/messages", "", {}, [], "", cast(Any, None))
            incoming.passage.key_id, incoming.passage.status = "k1", 500
            incoming.passage.refuse(how)
            gateway = SimpleNamespace(relay=self.relay, log=self.log, client_address=lambda _: "")
            finish(cast(Any, gateway), incoming)


@given(ends=st.lists(_answered | _refused, max_size=20))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_requests_come_to_all_say_the_same_of_it(database: Database, ends: Sequence[tuple[str, Any]]) -> None:
    told = Told()

    async def happen() -> Lately:
        for one in ends:
            told.end(*one)
        return told.relay.streams.tally.lately()

    lately = trio.run(happen, clock=MockClock())
    ended = Counter(record.ending for record in told.records)
    assert ended.total() == len(ends), "each has a record"

    rows = [attrs.asdict(record) for record in told.records]
    emptied(database).writing(lambda connection: request_rows.insert(connection, rows))
    for ending in Ending:
        listing = Listing(size=25, filters={"result": ending.value})
        found = database.reading(lambda link, listing=listing: request_rows.page(link, listing))
        assert found.total == ended[ending], f"the list of those that ended as {ending}"
    sums = database.reading(lambda link: overview_rows.overview(link, Chosen(0.0, 1e10, 10**8))).total
    assert (sums.requests, sums.failures) == (len(ends), ended[Ending.FAILED])

    counted: Counter[str] = Counter()
    for (_, _, outcome, _), number in told.relay.metrics.requests.items():
        counted[outcome] += number
    assert counted == Counter({LABELS[ending]: number for ending, number in ended.items()})

    levels = Counter(level for level, event, _ in told.log.lines if event == "request finished")
    assert levels["warning"] == ended[Ending.FAILED], "a warning is what failed"
    assert levels.total() == len(ends)

    relayed = Counter(record.ending for record, (where, _) in zip(told.records, ends, strict=True) if where == "relay")
    assert sum(bool(one.root.error) for one in told.traces.kept) == relayed[Ending.FAILED]

    assert (lately.failed, lately.refused) == (ended[Ending.FAILED], ended[Ending.REFUSED])
    assert lately.answers == len(ends) - ended[Ending.REFUSED]
    assert lately.unfinished == lately.answers - ended[Ending.FINISHED]
    said = StringIO()
    view = {"version": "1", "at": 0.0, "answers": [], "accounts": [], "lately": attrs.asdict(lately)}
    Console(file=said, width=300).print(page(view))
    off = lately.unfinished - lately.failed
    assert f"{lately.answers} answers ({lately.failed} failed, {off} broken off), {lately.refused} refused" in (
        said.getvalue()
    )
