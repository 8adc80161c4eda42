"""Real sockets: peers that leave early, connections that are reused, what is no HTTP, how bytes are cut."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import h11
import httpx
import pytest
import trio
from simulated import GENERATE, Answer, Client, body, connected, tool

from kirotrio.simulator import DEMO_ACCESS_TOKEN, DEMO_REFRESH_TOKEN, Phase, Simulator, State
from kirotrio.simulator.streams import MOST_STREAMS, Ledger

HEADERS = {"authorization": f"Bearer {DEMO_ACCESS_TOKEN}"}


@asynccontextmanager
async def listening(simulator: Simulator) -> AsyncIterator[str]:
    async with trio.open_nursery() as nursery:
        url = await nursery.start(simulator.serve, "127.0.0.1", 0)
        yield url
        nursery.cancel_scope.cancel()


async def dial(url: str) -> Client:
    return Client(await trio.open_tcp_stream("127.0.0.1", int(url.rpartition(":")[2])))


def reset(client: Client) -> None:
    client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def test_start_gives_the_base_url(simulator: Simulator) -> None:
    async with listening(simulator) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
        answer = await http.post(GENERATE, json=body("over httpx"), headers=HEADERS)
        assert "over httpx" in Answer(answer.status_code, {}, answer.content).text


async def test_listeners_of_the_callers_may_be_used(simulator: Simulator, nursery: trio.Nursery) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    url = await nursery.start(partial(simulator.serve, listeners=listeners))
    assert url == f"http://127.0.0.1:{port}"
    nursery.cancel_scope.cancel()


# -- peers that leave ----------------------------------------------------------------------------------------------

STATES = {
    "never a head": ("[[no_head=1]]", Phase.BEFORE_HEAD, 0),
    "late head": ("[[head_ms=600000]]", Phase.BEFORE_HEAD, 0),
    "no event yet": ("[[first_ms=600000]]", Phase.BEFORE_FIRST_EVENT, 0),
    "silent from the start": ("[[stall_after=0]]", Phase.STALLED, 0),
    "silent in the middle": ("[[stall_after=3]]", Phase.STALLED, 3),
    "paced": ("[[events=1000000 gap_ms=1]]", Phase.STREAMING, None),
    "at full speed": ("[[events=300000 size=200]]", Phase.STREAMING, None),
    "in small writes": ("[[events=1000000 size=20 split=64]]", Phase.STREAMING, None),
}


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
@pytest.mark.parametrize(("said", "phase", "events"), STATES.values(), ids=STATES)
async def test_a_peer_that_leaves_is_noticed_in_every_state(
    simulator: Simulator, said: str, phase: Phase, events: int | None, how: str
) -> None:
    async with listening(simulator) as url:
        client = await dial(url)
        await client.start(body(said))
        with trio.fail_after(20):
            await simulator.ledger.until(lambda ledger: bool(ledger.streams) and ledger.streams[0].phase is phase)
            left = simulator.ledger.now()
            if how == "reset":
                reset(client)
            if how == "half-close":
                await client.stream.send_eof()
            else:
                await client.stream.aclose()
            await simulator.ledger.until(lambda ledger: ledger.streams[0].state is not State.OPEN)
        (record,) = simulator.streams
        assert record.state is State.CLOSED_BY_PEER
        assert record.closed is not None
        assert record.closed.monotonic >= left.monotonic
        assert record.closed.time >= record.opened.time
        if events is not None:
            assert record.events_sent == events
        else:
            assert record.events_sent < 300_000
        await client.stream.aclose()


async def test_a_peer_that_leaves_a_late_plain_answer_leaves_no_task_behind(
    simulator: Simulator, nursery: trio.Nursery
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    simulator.fail_next("/refreshToken", silent=True)
    client = Client(ours)
    with trio.fail_after(10):
        async with trio.open_nursery() as connection:
            connection.start_soon(simulator.handle_connection, theirs)
            await client.send("POST", "/refreshToken", json.dumps({"refreshToken": DEMO_REFRESH_TOKEN}).encode())
            await trio.testing.wait_all_tasks_blocked()
            await ours.aclose()


async def test_stopping_the_simulator_ends_its_streams(simulator: Simulator) -> None:
    async with listening(simulator) as url:
        client = await dial(url)
        await client.start(body("[[stall_after=1]]"))
        await client.head()
    assert simulator.streams[0].state is State.CANCELLED
    await client.stream.aclose()


async def test_a_peer_that_does_not_read_holds_the_writer_back(simulator: Simulator) -> None:
    async with listening(simulator) as url:
        client = await dial(url)
        await client.start(body("[[events=60000 size=1000]]"))
        with trio.fail_after(20):
            await simulator.ledger.until(lambda ledger: bool(ledger.streams) and ledger.streams[0].events_sent > 0)
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert simulator.streams[0].bytes_sent < 30_000_000, "60 MB are on order, and nobody reads"
            await client.stream.aclose()
            await simulator.ledger.until(lambda ledger: ledger.streams[0].state is State.CLOSED_BY_PEER)


# -- one connection, many requests ---------------------------------------------------------------------------------


async def test_a_connection_serves_one_request_after_another(simulator: Simulator) -> None:
    async with listening(simulator) as url:
        client = await dial(url)
        for number in range(3):
            assert f"number {number}" in (await client.generate(f"number {number}")).text
            assert (await client.generate("[[status=500]]")).status == 500
            assert (await client.get("/_sim/streams")).status == 200
        await client.stream.aclose()
    assert [record.state for record in simulator.streams] == [State.FINISHED] * 3


async def test_pipelined_requests_are_answered_in_order(simulator: Simulator, client: Client) -> None:
    wanted = ["first [[gap_ms=1 events=5 size=10]]", "second", "third"]
    document = [json.dumps(body(said)).encode() for said in wanted]
    requests = b"".join(
        b"POST /generateAssistantResponse HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b" % (DEMO_ACCESS_TOKEN.encode(), len(one), one)
        for one in document
    )
    await client.stream.send_all(requests[:700])
    await client.stream.send_all(requests[700:])
    for said in ("first", "second", "third"):
        # h11 has to know that a request went out; which one is all the same to it.
        client.http = h11.Connection(h11.CLIENT)
        client.http.send(h11.Request(method="GET", target="/", headers=[("host", "x")]))
        answer = await client.receive()
        assert f"You said: “{said}" in answer.text
    assert len(simulator.streams) == 3


async def test_connection_close_is_honoured(simulator: Simulator) -> None:
    async with listening(simulator) as url:
        client = await dial(url)
        assert (await client.generate("hi", connection="close")).status == 200
        assert await client.stream.receive_some(10) == b""
        await client.stream.aclose()


async def test_expect_continue_is_answered(client: Client) -> None:
    await client.stream.send_all(
        b"POST /refreshToken HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
    )
    assert (await client.stream.receive_some(1000)).startswith(b"HTTP/1.1 100 ")
    await client.stream.send_all(b"{}")
    assert (await client.stream.receive_some(1000)).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300) + b"\r\n\r\n", 400),
        (b"no http at all\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", 400),
        (b"POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: ten\r\n\r\n", 400),
        (b"POST /mcp HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnot a chunk\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\nlong: " + b"x" * 70_000, 431),
        (b"GET / HTTP/1.0\r\nhost: x\r\n\r\n", 505),
        (b"POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: 70000000\r\n\r\n", 413),
    ],
)
async def test_what_is_no_request_gets_an_error_and_the_end(simulator: Simulator, garbage: bytes, status: int) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle_connection, theirs)
        await ours.send_all(garbage)
        answer = b""
        while piece := await ours.receive_some():
            answer += piece
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:100]
    assert b'"message"' in answer


@pytest.mark.parametrize("cut", [0, 10, 60, 200])
async def test_a_peer_that_leaves_in_the_middle_of_a_request(simulator: Simulator, cut: int) -> None:
    request = b"POST /mcp HTTP/1.1\r\nhost: x\r\ncontent-length: 300\r\n\r\n" + b" " * 300
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle_connection, theirs)
        await ours.send_all(request[:cut])
        await trio.testing.wait_all_tasks_blocked()
        await ours.aclose()
    assert not simulator.ledger.requests, "what never came whole is no request"


async def test_head_has_no_body(client: Client) -> None:
    await client.stream.send_all(b"HEAD / HTTP/1.1\r\nhost: x\r\n\r\n")
    answer = await client.stream.receive_some(10_000)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"\r\n\r\n")


# -- writes --------------------------------------------------------------------------------------------------------


class Recording(trio.abc.Stream):
    """Keeps what was sent, write by write."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner
        self.writes: list[bytes] = []

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self.inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self.inner.aclose()


async def recorded(simulator: Simulator, document: object) -> tuple[Answer, list[bytes]]:
    ours, theirs = trio.testing.memory_stream_pair()
    recording = Recording(theirs)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.handle_connection, recording)
        answer = await Client(ours).generate(document)
        await ours.aclose()
    return answer, recording.writes


@pytest.mark.parametrize("split", [1, 7, 100])
async def test_split_is_the_size_of_every_write(simulator: Simulator, split: int) -> None:
    answer, (head, *writes) = await recorded(simulator, body(f"[[events=5 size=40 split={split}]]"))
    assert head.startswith(b"HTTP/1.1 200 ")
    assert head.endswith(b"\r\n\r\n"), "the head leaves alone"
    sizes = {len(write) for write in writes[:-1]}
    assert sizes == {split}
    assert len(writes[-1]) <= split
    assert len(answer.text) == 200


async def test_what_follows_without_a_pause_leaves_in_one_write(simulator: Simulator) -> None:
    answer, writes = await recorded(simulator, body("[[events=50]]"))
    assert len(writes) == 1
    assert len(answer.of("assistantResponseEvent")) == 50


async def test_with_a_pause_each_event_is_a_write(simulator: Simulator, autojump_clock: trio.testing.MockClock) -> None:
    _, writes = await recorded(simulator, body("[[events=5 gap_ms=20]]"))
    assert len(writes) == 8, "head and first event, four events, three of the tail"


async def test_reset_cut_is_a_reset(simulator: Simulator) -> None:
    async with listening(simulator) as url:
        client = await dial(url)
        await client.start(body("[[events=3 gap_ms=5 cut_after=2 cut=reset]]"))
        with pytest.raises(trio.BrokenResourceError):  # noqa: PT012 - which read meets it is not determined
            while True:
                if not await client.stream.receive_some():
                    break
        await client.stream.aclose()


async def test_a_fault_of_the_simulator_is_answered_and_logged(
    simulator: Simulator, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(call: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(simulator, "answer", broken)
    assert (await client.generate("hi")).status == 500
    assert "a bug" in caplog.text


# -- the pages about it --------------------------------------------------------------------------------------------


async def test_requests_are_listed_without_secrets(client: Client) -> None:
    await client.generate(body("hello", tools=[tool("read")]))
    await client.generate("[[status=429]]")
    await client.post("/refreshToken", {"refreshToken": DEMO_REFRESH_TOKEN})
    await client.get("/ListAvailableModels?origin=AI_EDITOR")
    listed = (await client.get("/_sim/requests")).json()
    assert [one["operation"] for one in listed] == [
        "GenerateAssistantResponse",
        "GenerateAssistantResponse",
        "/refreshToken",
        "ListAvailableModels",
    ]
    assert [one["answered"]["status"] for one in listed] == [200, 429, 200, 200]
    assert listed[0]["body"]["conversationState"]["currentMessage"]["userInputMessage"]["content"] == "hello"
    assert listed[0]["headers"]["authorization"] == "redacted"
    assert listed[0]["account"] == "demo-social"
    assert listed[3]["query"] == {"origin": "AI_EDITOR"}
    assert DEMO_REFRESH_TOKEN not in json.dumps(listed)
    assert DEMO_ACCESS_TOKEN not in json.dumps(listed)
    assert (await client.call("DELETE", "/_sim/requests")).status == 200
    assert (await client.get("/_sim/requests")).json() == []


async def test_at_most_200_requests_are_kept(client: Client, simulator: Simulator) -> None:
    for number in range(205):
        await client.get(f"/nowhere/{number}")
    listed = (await client.get("/_sim/requests")).json()
    assert len(listed) == 200
    assert listed[-1]["path"] == "/nowhere/204"


def test_running_streams_outlast_ended_ones_in_the_ledger() -> None:
    ledger = Ledger(lambda: 1.0, lambda: 2.0)
    names = {"conversation": "c", "model": "m", "account": "a"}
    running = ledger.open_stream(request_id="running", **names)
    for number in range(MOST_STREAMS):
        ledger.close_stream(ledger.open_stream(request_id=str(number), **names), State.FINISHED)
    assert len(ledger.streams) == MOST_STREAMS
    assert ledger.streams[0] is running
    assert ledger.streams[1].request_id == "1", "the oldest that had ended is gone"


async def test_streams_are_listed_with_their_state(simulator: Simulator, client: Client, nursery: trio.Nursery) -> None:
    await client.generate("[[events=4]]")
    other = connected(simulator, nursery)
    await other.start(body("[[stall_after=2]]"))
    await other.head()
    await trio.testing.wait_all_tasks_blocked()
    finished, stalled = (await client.get("/_sim/streams")).json()
    assert (finished["state"], finished["events_sent"]) == ("finished", 7)
    assert finished["bytes_sent"] > 500
    assert finished["closed"]["monotonic"] >= finished["opened"]["monotonic"]
    assert (stalled["state"], stalled["phase"], stalled["closed"]) == ("open", "stalled", None)
    await client.call("DELETE", "/_sim/streams")
    assert [one["state"] for one in (await client.get("/_sim/streams")).json()] == ["open"], "running ones stay"
    await other.stream.aclose()


async def test_hooks_over_http(client: Client) -> None:
    assert (await client.post("/_sim/expire", {})).status == 200
    assert (await client.generate("hi")).status == 403
    given = (await client.post("/refreshToken", {"refreshToken": DEMO_REFRESH_TOKEN})).json()
    token = given["accessToken"]
    await client.post("/_sim/refuse", {"account": "demo-social", "status": "MONTHLY_REQUEST_COUNT"})
    assert (await client.generate("hi", token=token)).status == 402
    await client.post("/_sim/refuse", {"account": "demo-social"})
    await client.post("/_sim/fail", {"where": "GenerateAssistantResponse", "status": "503"})
    assert [(await client.generate("hi", token=token)).status for _ in range(2)] == [503, 200]
    await client.post("/_sim/revoke", {"what": token})
    assert (await client.generate("hi", token=token)).status == 403


@pytest.mark.parametrize(
    ("path", "document", "status"),
    [
        ("/_sim/nothing", {}, 404),
        ("/_sim/fail", {}, 400),
        ("/_sim/fail", {"where": "/token", "status": "TEAPOT"}, 400),
        ("/_sim/fail", {"where": "/token", "times": "many"}, 400),
        ("/_sim/revoke", {"what": "nobody"}, 400),
        ("/_sim/expire", {"client_id": "nobody"}, 400),
        ("/_sim/expire", [], 400),
    ],
)
async def test_pages_say_what_is_wrong(client: Client, path: str, document: object, status: int) -> None:
    answer = await client.post(path, document)
    assert answer.status == status
    assert answer.json()["message"]
