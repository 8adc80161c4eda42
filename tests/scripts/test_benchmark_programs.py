"""The benchmark's own servers and its load, over sockets: what they send, count and refuse."""

from __future__ import annotations

import itertools
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import bodies, frames, prose
from benchmarks.leaving import ask
from benchmarks.load import Connection, Requests, Seen
from benchmarks.processes import Load, Program, processors, start_floor, start_upstream
from benchmarks.upstream import _at_once
from kirotrio.kiro.eventstream import EventStreamDecoder

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="its programs are pinned to processors")


@pytest.fixture(scope="module")
def upstream() -> Iterator[Program]:
    program = start_upstream(processors()[1])
    yield program
    program.stop()


@pytest.fixture(scope="module")
def floor(upstream: Program) -> Iterator[Program]:
    program = start_floor(processors()[0], upstream.port)
    yield program
    program.stop()


@pytest.fixture(scope="module")
def load() -> Iterator[Load]:
    program = Load()
    yield program
    program.stop()


def order(floor: Program, **more: Any) -> dict[str, Any]:
    return {"port": floor.port, "key": floor.key, "api": "messages", "connections": 2, "requests": 4, **more}


def test_the_upstreams_frames_are_kiros() -> None:
    decoder = EventStreamDecoder()
    chunks, raw = _at_once(3).partition(b"\r\n\r\n")[2], bytearray()
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        raw += rest[: int(size, 16)]
        chunks = rest[int(size, 16) + 2 :]
    events = decoder.feed(bytes(raw))
    decoder.close()
    assert [event.headers[":event-type"] for event in events] == ["assistantResponseEvent"] * 3 + [
        "metadataEvent",
        "contextUsageEvent",
        "meteringEvent",
    ]


@pytest.mark.parametrize("api", bodies.PATHS)
@pytest.mark.parametrize("stream", [True, False])
def test_every_event_of_an_answer_is_counted(floor: Program, load: Load, api: str, stream: bool) -> None:
    seen = load.order(do="requests", **order(floor, api=api, stream=stream, answer="events=7"))
    assert (seen["answers"], seen["failures"], seen["pieces"]) == (4, 0, 28)
    # A JSON answer has all pieces in one string.
    assert seen["deltas"] == (28 if stream else 0)


def test_an_answer_that_lacks_a_piece_or_has_another_is_not_counted() -> None:
    for wrong in ("lorem ipsum ", ""):
        raw = answer(chunked=True).replace(prose.pieces(3)[1].encode(), wrong.encode())
        seen = Seen()
        requests = Requests({"api": "messages", "answer": "events=3", "requests": 1}, "key")
        ended: Any = type("Future", (), {"done": lambda self: True})()
        connection = Connection(requests, seen, ended, sampled=True)
        connection.connection_made(Wire())
        connection.data_received(raw)
        assert (seen.answers, seen.pieces) == (1, 0), "an answer with other text counts as one that kept every event"


def test_paced_events_come_one_by_one_and_in_time(floor: Program, load: Load) -> None:
    seen = load.order(do="requests", **order(floor, answer="events=10 gap_ms=20", timed=True, requests=2))
    assert (seen["answers"], seen["deltas"]) == (2, 20)
    assert seen["wall"] >= 10 * 0.02
    assert 0 < seen["late_p50"] <= seen["late_p99"]
    assert 0 < seen["alone"] <= 1


def test_streams_are_held_until_they_are_let_go(floor: Program, upstream: Program, load: Load) -> None:
    asked = order(floor, connections=20, requests=20, answer="events=100000 gap_ms=20", timed=True, sample=4)
    assert load.order(do="hold", within=20, **asked)["begun"] == 20
    assert orjson.loads(ask(upstream.port, "/_bench/state")[1])["open"] == 20
    assert load.order(do="look", seconds=0.5)["pieces"] > 20
    assert load.order(do="tell")["failures"] == 0
    load.order(do="leave")
    deadline = time.monotonic() + 20
    while (now := orjson.loads(ask(upstream.port, "/_bench/state")[1]))["open"] and time.monotonic() < deadline:
        time.sleep(0.01)  # another process's work
    assert now["open"] == 0


def test_a_refusal_is_a_failure(floor: Program, load: Load) -> None:
    seen = load.order(do="requests", **order(floor, key="wrong", answer="events=1"))
    assert seen["answers"] == 0
    assert "401" in seen["failure"]


def test_the_floor_checks_its_key_and_the_frames(floor: Program) -> None:
    body = bodies.question("messages", "events=3", stream=False)
    assert ask(floor.port, "/v1/messages", key="no", body=body)[0] == 401
    status, said = ask(floor.port, "/v1/messages", key=floor.key, body=body)
    assert (status, orjson.loads(said)["content"][0]["type"]) == (200, "text")


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.closed = False
        self.asked = 0

    def writelines(self, parts: list[bytes]) -> None:
        self.asked += 1

    def close(self) -> None:
        self.closed = True


def answer(chunked: bool) -> bytes:
    body = b"".join(b'data: {"text":"%b"}\n\n' % piece.encode() for piece in prose.pieces(3))
    if not chunked:
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    return b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + frames.chunk(body) + frames.LAST_CHUNK


@given(st.booleans(), st.integers(0, 40), st.lists(st.integers(1, 400), max_size=8))
def test_the_load_reads_an_answer_however_it_is_cut(chunked: bool, head: int, cuts: list[int]) -> None:
    whole = answer(chunked)
    # A head that is cut would be misread: servers write it in one piece, and no answer is counted where one does not.
    start = whole.index(b"\r\n\r\n") + 4 + head
    places = [0, *sorted({start + cut for cut in cuts if start + cut < len(whole)}), len(whole)]
    seen, wire = Seen(), Wire()
    requests = Requests({"api": "messages", "answer": "events=3", "requests": 2}, "key")
    ended: Any = type("Future", (), {"done": lambda self: True})()
    connection = Connection(requests, seen, ended, sampled=True)
    connection.connection_made(wire)
    for _ in range(2):
        for at, end in itertools.pairwise(places):
            connection.data_received(whole[at:end])
    assert (seen.answers, seen.pieces, seen.deltas, wire.closed) == (2, 6, 6, True)


def test_a_port_without_a_listener_is_a_failure(load: Load) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    asked = {"port": port, "key": "", "api": "messages", "connections": 1, "requests": 1, "answer": ""}
    seen = load.order(do="requests", **asked)
    assert seen["answers"] == 0
    assert "not connected" in seen["failure"]
