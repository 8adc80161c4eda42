"""HTTP/2 without TLS has the limits that HTTP/1.1 has: every wait has a deadline."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import orjson
import pytest
import trio
from attrs import define, field
from support.asgi import gateway_on
from support.scripted import Script, ScriptedTransport, answering, tail, text
from support.stack import KEY, question

from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.front import GatewayFront
from kirotrio.web.hosting import KEEP_ALIVE
from kirotrio.web.server import Server

WRITE_DEADLINE = 30.0
ANSWER = answering(text("an answer"), tail())
LONG = answering([step for _ in range(40) for step in text("x" * 5000)], tail())


@define
class Running:
    server: Server
    log: RecordingLog
    port: int

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        async with await trio.open_tcp_stream("127.0.0.1", self.port) as stream:
            yield Client(stream)

    async def pass_time(self, seconds: float) -> None:
        """In steps, since what is due at each of them begins to wait anew."""
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        for _ in range(4):
            await trio.testing.wait_all_tasks_blocked(0.02)
            clock.jump(seconds / 4)
        await trio.testing.wait_all_tasks_blocked(0.02)

    async def reset_in_time(self, client: Client) -> h2.events.StreamReset:
        """The next reset; the clock runs meanwhile, since some of what an answer waits for is done in threads."""

        async def run_on() -> None:
            while True:
                await self.pass_time(4)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_on)
            reset = await client.read(h2.events.StreamReset)
            nursery.cancel_scope.cancel()
        assert isinstance(reset, h2.events.StreamReset)
        return reset


@asynccontextmanager
async def serving(*scripts: Script) -> AsyncIterator[Running]:
    gateway = gateway_on(ScriptedTransport(*scripts), TokenEstimator())
    assert isinstance(gateway.log, RecordingLog)
    front = GatewayFront(gateway)
    await front.application()
    server = Server(front, gateway.log, WRITE_DEADLINE)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(server.serve, listeners, nursery)
        yield Running(server, gateway.log, listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()


def speaker() -> h2.connection.H2Connection:
    """One that also says what no client may say."""
    lax = h2.config.H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
    connection = h2.connection.H2Connection(lax)
    connection.initiate_connection()
    return connection


@define
class Client:
    stream: trio.SocketStream
    h2: h2.connection.H2Connection = field(factory=speaker)
    events: list[h2.events.Event] = field(factory=list)
    ended: bool = False

    async def send(self) -> None:
        await self.stream.send_all(self.h2.data_to_send())

    def ask(self, number: int, method: str, path: str, *more: tuple[str, str], body: bytes | None = None) -> None:
        fields = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "x"), ("x-api-key", KEY)]
        self.h2.send_headers(number, [*fields, *more], end_stream=body is None and method == "GET")
        if body is not None:
            self.h2.send_data(number, body, end_stream=True)

    async def read(self, *kinds: type[h2.events.Event]) -> h2.events.Event | None:
        """The next event of one of these kinds; None where the connection ends before."""
        with trio.fail_after(100):
            while True:
                for index, event in enumerate(self.events):
                    if isinstance(event, kinds):
                        del self.events[: index + 1]
                        return event
                data = b"" if self.ended else await self.stream.receive_some(65536)
                if not data:
                    self.ended = True
                    return None
                self.events += self.h2.receive_data(data)

    async def status(self) -> int:
        response = await self.read(h2.events.ResponseReceived)
        assert isinstance(response, h2.events.ResponseReceived)
        return int(dict(response.headers)[b":status"])


PREFACE = speaker().data_to_send()
UPGRADE = (
    b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
    b"http2-settings: AAMAAABkAAQAAP__\r\n\r\n"
)


def asked(*fields: tuple[str, str]) -> bytes:
    connection = speaker()
    connection.send_headers(1, fields, end_stream=True)
    return connection.data_to_send()


HEALTH = asked((":method", "GET"), (":path", "/health"), (":scheme", "http"), (":authority", "x"))
WEBSOCKET = asked(
    (":method", "CONNECT"), (":path", "/x"), (":scheme", "http"), (":authority", "x"), (":protocol", "websocket")
)
SILENT = {
    "nothing of it": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no request": PREFACE,
    "half a frame": PREFACE + b"\0\0\x10\1",
    "half a head": PREFACE + b"\0\0\1\1\0\0\0\0\1\x82",
    "answered": HEALTH,
    "upgraded": UPGRADE + PREFACE,
    "WebSocket": WEBSOCKET,
}


@pytest.mark.parametrize("begun", SILENT.values(), ids=SILENT)
async def test_a_connection_that_asks_nothing_is_closed_in_time(mock_clock, begun):
    async with serving() as s, s.client() as client:
        await client.stream.send_all(begun)
        await s.pass_time(KEEP_ALIVE - 1)
        assert len(s.server.connections) == 1
        await s.pass_time(2)
        assert len(s.server.connections) == 0
        assert s.log.events("error") == []


async def test_a_body_that_does_not_come_ends_its_request_and_then_the_connection(mock_clock):
    async with serving() as s, s.client() as client:
        client.ask(1, "POST", "/v1/messages")
        await client.send()
        await s.pass_time(60)
        assert await client.status() == 504
        await s.pass_time(KEEP_ALIVE + 5)
        assert len(s.server.connections) == 0


async def test_an_answer_takes_as_long_as_it_takes(mock_clock):
    async with serving(answering(text("late"), tail(), head_after=100.0)) as s, s.client() as client:
        client.ask(1, "POST", "/v1/messages", body=orjson.dumps(question()))
        await client.send()
        await s.pass_time(110)
        assert await client.status() == 200
        assert await client.read(h2.events.StreamEnded)


@pytest.mark.parametrize("most", [10**6, 1024], ids=["in the middle", "at the end"])
async def test_a_stream_that_takes_nothing_is_reset_and_the_others_go_on(mock_clock, most):
    async with serving(LONG, ANSWER) as s, s.client() as client:
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client.ask(1, "POST", "/v1/messages", body=orjson.dumps(question(stream=True, max_tokens=most)))
        await client.send()
        assert await client.status() == 200
        client.ask(3, "GET", "/health")
        client.h2.increment_flow_control_window(1000, 3)
        await client.send()
        assert await client.status() == 200
        reset = await s.reset_in_time(client)
        assert (reset.stream_id, reset.error_code) == (1, h2.errors.ErrorCodes.CANCEL)
        client.ask(5, "GET", "/health")
        client.h2.increment_flow_control_window(1000, 5)
        await client.send()
        assert await client.status() == 200
        assert await client.read(h2.events.StreamEnded)
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert len(s.server.front._gateway.requests) == 0
        assert s.log.events("error") == []


async def test_a_stream_that_takes_nothing_can_be_hurried(mock_clock):
    async with serving(LONG) as s, s.client() as client:
        client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
        client.ask(1, "POST", "/v1/messages", body=orjson.dumps(question(stream=True)))
        await client.send()
        assert await client.status() == 200
        begun = trio.current_time()
        s.server.hurry(5)
        await s.reset_in_time(client)
        assert trio.current_time() - begun < WRITE_DEADLINE


async def test_what_comes_of_a_body_behind_its_answer_leaves_the_connection_alone(mock_clock):
    async with serving() as s, s.client() as client:
        client.ask(1, "POST", "/v1/messages", ("content-length", str(10**12)))
        await client.send()
        await s.pass_time(10)
        assert await client.status() == 413
        client.h2.send_data(1, b"more of it")
        client.ask(3, "GET", "/health")
        await client.send()
        assert await client.status() == 200
        assert s.log.events("error") == []


@pytest.mark.parametrize(
    "fields",
    [
        [(":method", "GET"), (":path", "/\xe9"), (":scheme", "http"), (":authority", "x")],
        [(":method", "G\xe9T"), (":path", "/"), (":scheme", "http"), (":authority", "x")],
        [(":method", "CONNECT"), (":authority", "x:80")],
    ],
    ids=["path", "method", "CONNECT"],
)
async def test_a_head_that_is_none_ends_the_connection_and_is_no_fault_of_ours(fields):
    async with serving() as s, s.client() as client:
        client.h2.send_headers(1, fields, end_stream=False)
        await client.send()
        gone = await client.read(h2.events.ConnectionTerminated)
        assert isinstance(gone, h2.events.ConnectionTerminated)
        assert gone.error_code == h2.errors.ErrorCodes.PROTOCOL_ERROR
        assert await client.read() is None
        with trio.fail_after(10):
            await s.server.connections.wait_empty()
        assert s.log.events("error") == []


@pytest.mark.parametrize(
    ("path", "status"), [("?", 400), ("http://[::1/health", 400), ("*", 400), ("http://x/health", 200), ("/[", 404)]
)
async def test_a_target_is_understood_as_over_http_1(path, status):
    async with serving() as s, s.client() as client:
        client.ask(1, "GET", path)
        await client.send()
        assert await client.status() == status
        assert s.log.events("error") == []


@pytest.mark.parametrize("begun", [PREFACE, HEALTH], ids=["no request", "answered"])
async def test_a_connection_with_nothing_to_answer_is_closed_at_once_by_a_stop(begun):
    async with serving() as s, s.client() as client:
        await client.stream.send_all(begun)
        await trio.testing.wait_all_tasks_blocked(0.05)
        await s.server.close_idle()
        with trio.fail_after(10):
            await s.server.connections.wait_empty()


async def test_a_stop_lets_an_answer_end(mock_clock):
    async with serving(answering(text("late"), tail(), head_after=10.0)) as s, s.client() as client:
        client.ask(1, "POST", "/v1/messages", body=orjson.dumps(question()))
        await client.send()
        await trio.testing.wait_all_tasks_blocked(0.05)
        await s.server.close_idle()
        await s.pass_time(11)
        assert await client.status() == 200
        assert await client.read(h2.events.StreamEnded)
        await s.pass_time(2)
        assert len(s.server.connections) == 0
