"""Live parts: what changes is sent, silence is broken, and it ends with the sign-in or the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import trio
from support.console import PASSWORD, browser

from kirotrio.access.audit import COMMAND_LINE
from kirotrio.store.user_record import Role
from kirotrio.web.console.live import OVER, Live, event
from kirotrio.web.console.visit import open_visit
from kirotrio.web.incoming import Incoming


class Told:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.said = b""
        self.ended = False
        self.more = trio.Event()

    async def start(self, status: int, headers: Mapping[str, str], cookies: Sequence[str] = ()) -> None:
        assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert headers["cache-control"] == "no-store, no-transform"

    async def write(self, piece: bytes) -> None:
        self.said += piece
        self.more.set()
        self.more = trio.Event()

    async def finish(self, piece: bytes) -> None:
        self.said += piece
        self.ended = True


def test_an_event_keeps_its_lines_and_cannot_end_early() -> None:
    assert event("rows", "<b>\r\n\n</b>") == b"event: rows\ndata: <b>\ndata: \ndata: </b>\n\n"


async def signed_in(stack):
    """A visit of an operator."""
    someone = browser(stack)
    await someone.set_up("anna")
    cookie = "; ".join(f"{one.name}={one.value}" for one in someone.cookies.jar)
    headers = {"cookie": cookie, "host": "here"}
    incoming = Incoming("/console", "", headers, list(headers.items()), "", stack.gateway.intake(0), "127.0.0.1")
    visit = await open_visit(stack.gateway, incoming)
    assert visit.session is not None
    return visit


async def test_only_what_changed_is_sent(stack):
    async with stack() as s:
        visit, told, numbers = await signed_in(s), Told(), iter([1, 1, 2])

        async def tell() -> dict[str, str]:
            number = next(numbers, None)
            if number is None:
                s.gateway.draining.set()
                return {}
            return {"count": str(number), "same": "x"}

        with trio.fail_after(20):
            await Live(s.gateway, visit, tell, every=0.01).run(told)
    assert told.said.count(b"event: count") == 2
    assert told.said.count(b"event: same") == 1
    assert told.ended
    assert b"gone" not in told.said, "a gateway that stops is no reason for the page to ask no more"


async def test_once_all_is_told_it_ends_with_that(stack):
    async with stack() as s:
        visit, told = await signed_in(s), Told()

        async def tell() -> dict[str, str]:
            return {"step": "done", OVER: OVER}

        with trio.fail_after(20):
            await Live(s.gateway, visit, tell).run(told)
    assert told.ended
    assert told.said.endswith(event("step", "done") + event("over", "over"))


async def test_a_page_that_listens_though_its_person_may_not_is_told_so_once(stack):
    async with stack() as s:
        await browser(s).set_up("anna")
        await s.gateway.people.create_user(COMMAND_LINE, "vera", PASSWORD, Role.VIEWER)
        vera = browser(s)
        await vera.sign_in("vera")
        for who in (browser(s), vera):
            answer = await who.open("/console/streams/events", accept="text/event-stream")
            assert (answer.status_code, answer.content) == (200, event("gone", "gone"))
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"


async def test_it_ends_once_the_person_is_signed_out(stack, monkeypatch):
    monkeypatch.setattr("kirotrio.web.console.live._LOOK_AGAIN", 0.05)
    async with stack() as s:
        visit, told = await signed_in(s), Told()

        async def tell() -> dict[str, str]:
            return {}

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Live(s.gateway, visit, tell, every=0.01).run, told)
                await trio.sleep(0.1)  # some of its looks; for an end that must not come there is nothing to wait for
                assert not told.ended
                await s.gateway.people.sign_out(visit.session)
        assert told.said.endswith(event("gone", "gone"))


async def test_silence_is_broken_by_an_event(stack, monkeypatch):
    monkeypatch.setattr("kirotrio.web.console.live._KEEP_ALIVE", 0.05)
    async with stack() as s:
        visit, told = await signed_in(s), Told()

        async def tell() -> dict[str, str]:
            return {}

        async with trio.open_nursery() as nursery:
            nursery.start_soon(Live(s.gateway, visit, tell, every=0.01).run, told)
            with trio.fail_after(20):
                while event("here", "here") not in told.said:
                    await told.more.wait()
            nursery.cancel_scope.cancel()
