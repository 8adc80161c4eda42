"""What the live drain writes without being woken, and what it does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from kirotrio.conversation.events import Event, Finish, KeepAlive, StopCause, TextDelta, Usage
from kirotrio.errors import KirotrioError
from kirotrio.relay.conduit import Conduit
from kirotrio.relay.drain import Item, Outgoing, drain_live
from kirotrio.relay.estimate import Estimate

END = [Finish(StopCause.END_TURN)]


class Encoder:
    def start(self, usage: Usage) -> bytes:
        return b"^"

    def encode(self, batch: Iterable[Event]) -> bytes:
        return "".join(event.text for event in batch if isinstance(event, TextDelta)).encode()

    def keep_alive(self) -> bytes:
        return b"~"

    def failure(self, error: KirotrioError) -> bytes:
        return b"!"


class Languages:
    eager = False
    stream = Encoder


class Socket:
    """Takes `room` bytes at once, and the rest once it is opened."""

    def __init__(self) -> None:
        self.got = b""
        self.room = 1000
        self.opened = trio.Event()

    async def start(self, status: int, headers: Mapping[str, str]) -> None: ...

    async def write(self, piece: bytes) -> None:
        self.got += b"(" + piece + b")"

    finish = write

    def write_now(self, piece: bytes) -> bytes:
        taken, rest = piece[: self.room], piece[self.room :]
        self.got += b"[" + taken
        self.got += b"" if rest else b"]"
        return rest

    async def write_rest(self, rest: bytes) -> None:
        await self.opened.wait()
        self.got += rest + b"]"


@pytest.fixture
async def drained(nursery):
    conduit: Conduit[Item] = Conduit(4)
    sink = Socket()
    estimate = Estimate()
    estimate.set(1)
    languages: Any = Languages()
    outgoing = Outgoing(sink, languages, dict)
    nursery.start_soon(drain_live, conduit, outgoing, estimate)
    await wait_all_tasks_blocked()
    conduit.send_nowait([TextDelta("a")])
    await wait_all_tasks_blocked()
    return conduit, sink


async def test_text_behind_the_first_leaves_before_anybody_else_runs(drained):
    conduit, sink = drained
    conduit.send_nowait([TextDelta("b")])
    assert sink.got == b"(^a)[b]"


async def test_signs_of_life_and_the_end_are_the_drains_own(drained):
    conduit, sink = drained
    conduit.send_nowait([KeepAlive()])
    conduit.send_nowait([TextDelta("b")])
    await wait_all_tasks_blocked()
    conduit.send_nowait(END)
    await wait_all_tasks_blocked()
    assert sink.got == b"(^a)(~)(b)()"


async def test_what_the_socket_does_not_take_is_waited_for_and_all_else_waits_behind_it(drained):
    conduit, sink = drained
    sink.room = 2
    conduit.send_nowait([TextDelta("bcd")])
    await wait_all_tasks_blocked()
    taken = sum(conduit.send_nowait([TextDelta(character)]) for character in "efghij")
    assert taken == 4, "the channel's bound stays"
    await wait_all_tasks_blocked()
    assert sink.got == b"(^a)[bc"
    sink.opened.set()
    await wait_all_tasks_blocked()
    assert sink.got == b"(^a)[bcd](efgh)"
