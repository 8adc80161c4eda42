"""What several workers share at the desk: as if they were one process, and nothing of a dead one stays behind."""

from __future__ import annotations

import math
import os
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support.stack import changed
from support.workers import office

from kirotrio.accounts.cooldowns import Cooldown, Cooldowns, News
from kirotrio.accounts.lending.gate import GateLimits
from kirotrio.accounts.told import news_of, told_of
from kirotrio.config.settings import AccountSettings, Settings
from kirotrio.errors import Blame, LimitReached, Overloaded, RateLimited, Recovery
from kirotrio.store.responses import ResponseMissing, StoredResponse
from kirotrio.web.workers.seat import Seat

pytestmark = pytest.mark.skipif(os.name != "posix", reason="workers share a Unix socket")

TWO = GateLimits(max_concurrent=2, max_queue=10)


async def settle() -> None:
    """Until every message has arrived, and what came of it."""
    for _ in range(5):
        await trio.testing.wait_all_tasks_blocked()


class Asker:
    """One request on a shared account, which holds its place until told to leave."""

    def __init__(self, seat: Seat, limits: GateLimits = TWO, *, deadline: float = 60.0, used: bool = True) -> None:
        self.gate = seat.gate("work", limits, "work")
        self.deadline, self.used = deadline, used
        self.scope, self.leave = trio.CancelScope(), trio.Event()
        self.state = "waits"
        self.refusal: RateLimited | None = None

    async def __call__(self) -> None:
        with self.scope:
            try:
                async with self.gate.place(self.deadline) as place:
                    self.state = "in"
                    await self.leave.wait()
                    place.used = self.used
            except RateLimited as refusal:
                self.refusal, self.state = refusal, "refused"
                return
            except Overloaded:
                self.state = "lost"  # with its worker
                return
        self.state = "out"


async def test_workers_have_as_many_places_together_as_one_has_alone() -> None:
    async with office() as o, trio.open_nursery() as nursery:
        seats = [await o.seat(1), await o.seat(2)]
        askers = [Asker(seats[number % 2]) for number in range(6)]
        for asker in askers:
            nursery.start_soon(asker)
            await settle()
        assert [asker.state for asker in askers] == ["in", "in", "waits", "waits", "waits", "waits"]
        for number, asker in enumerate(askers):
            asker.leave.set()
            await settle()
            inside = [other for other in askers if other.state == "in"]
            assert inside == askers[number + 1 : number + 3], "who came first is let in first, whoever asks for him"


async def test_the_places_of_a_worker_that_dies_come_back_at_once() -> None:
    async with office() as o, trio.open_nursery() as nursery:
        first, second = await o.seat(1), await o.seat(2)
        lost = [Asker(first), Asker(first), Asker(first)]
        for asker in lost:
            nursery.start_soon(asker)
            await settle()
        waiting = [Asker(second), Asker(second)]
        for asker in waiting:
            nursery.start_soon(asker)
        await settle()
        o.leave(1)
        await settle()
        assert [asker.state for asker in waiting] == ["in", "in"], "the dead one's third request stands before nobody"
        for asker in lost:
            asker.scope.cancel()
        for asker in waiting:
            asker.leave.set()


async def test_one_that_gives_up_waiting_stands_in_nobodys_way() -> None:
    async with office() as o, trio.open_nursery() as nursery:
        first, second = await o.seat(1), await o.seat(2)
        askers = [Asker(first), Asker(first), Asker(first), Asker(second)]
        for asker in askers:
            nursery.start_soon(asker)
            await settle()
        askers[2].scope.cancel()
        await settle()
        askers[0].leave.set()
        await settle()
        assert [asker.state for asker in askers] == ["out", "in", "out", "in"]
        for asker in askers:
            asker.leave.set()


async def test_who_comes_too_late_is_told_as_by_one_process(autojump_clock: Any) -> None:
    async with office() as o, trio.open_nursery() as nursery:
        first, second = await o.seat(1), await o.seat(2)
        holders = [Asker(first), Asker(first)]
        for asker in holders:
            nursery.start_soon(asker)
        await settle()
        late, impatient = Asker(second, deadline=3.0), Asker(second, deadline=0.0)
        nursery.start_soon(late)
        nursery.start_soon(impatient)
        await trio.sleep(4)
        for asker in (late, impatient):
            assert asker.refusal is not None
            assert "accounts.max_concurrent" in asker.refusal.message
            assert asker.refusal.retry_after is not None
            assert asker.refusal.recovery is Recovery.SWITCH_ACCOUNT
        for asker in holders:
            asker.leave.set()


async def test_the_queue_is_one_queue() -> None:
    limits = attrs.evolve(TWO, max_queue=2)
    async with office() as o, trio.open_nursery() as nursery:
        seats = [await o.seat(1), await o.seat(2)]
        askers = [Asker(seats[number % 2], limits) for number in range(5)]
        for asker in askers:
            nursery.start_soon(asker)
            await settle()
        assert [asker.state for asker in askers] == ["in", "in", "waits", "waits", "refused"]
        assert "accounts.max_queue" in str(askers[4].refusal)
        for asker in askers:
            asker.leave.set()


async def test_limits_that_a_person_changes_hold_for_all() -> None:
    async with office() as o, trio.open_nursery() as nursery:
        first, second = await o.seat(1), await o.seat(2)
        askers = [Asker(second) for _ in range(4)]
        for asker in askers:
            nursery.start_soon(asker)
            await settle()
        first.gate("work", TWO, "work").limits = attrs.evolve(TWO, max_concurrent=3)
        await settle()
        assert [asker.state for asker in askers] == ["in", "in", "in", "waits"]
        for asker in askers:
            asker.leave.set()


ACTS = st.lists(
    st.tuples(st.sampled_from(["ask", "leave", "unused", "give up", "die", "later"]), st.integers(0, 30)),
    max_size=40,
)


@settings(max_examples=40)
@given(acts=ACTS, limits=st.builds(GateLimits, st.integers(1, 3), st.sampled_from([0, 6, 30]), st.just(100)))
def test_whatever_workers_do_no_limit_is_passed_and_nobody_waits_for_ever(acts: Any, limits: GateLimits) -> None:
    async def main() -> None:
        async with office() as o, trio.open_nursery() as nursery:
            seats = {worker: await o.seat(worker) for worker in (1, 2, 3)}
            askers: list[Asker] = []
            starts: list[float] = []
            for act, number in acts:
                open_ones = [asker for asker in askers if asker.state in ("in", "waits")]
                chosen = open_ones[number % len(open_ones)] if open_ones else None
                if act == "ask":
                    askers.append(Asker(seats[1 + number % 3], limits, deadline=100_000.0))
                    nursery.start_soon(askers[-1])
                elif act == "later":
                    await trio.sleep(number)
                elif act == "die":
                    worker = 1 + number % 3
                    o.leave(worker)
                    for asker in askers:
                        if asker.gate._seat is seats[worker]:
                            asker.scope.cancel()
                    seats[worker] = await o.seat(worker)
                elif chosen is not None:
                    if act == "give up":
                        chosen.scope.cancel()
                    chosen.used = act != "unused"
                    chosen.leave.set()
                before = {id(asker) for asker in askers if asker.state == "in"}
                await settle()
                inside = [asker for asker in askers if asker.state == "in"]
                assert len(inside) <= limits.max_concurrent
                starts += [trio.current_time() for asker in inside if id(asker) not in before]
            while any(asker.state in ("in", "waits") for asker in askers):
                for asker in askers:
                    if asker.state == "in":
                        asker.leave.set()
                await trio.sleep(1)
            assert all(asker.state in ("out", "lost") for asker in askers), "nobody was refused who had time"

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_the_pace_is_one_pace(autojump_clock: Any) -> None:
    limits = GateLimits(max_concurrent=0, per_minute=6, max_queue=100)
    starts: list[float] = []
    async with office() as o, trio.open_nursery() as nursery:
        seats = [await o.seat(1), await o.seat(2)]

        async def ask(seat: Seat) -> None:
            gate = seat.gate("work", limits, "work")
            async with gate.place(600.0):
                starts.append(trio.current_time())
                await gate.pace(600.0)
                starts.append(trio.current_time())

        for number in range(10):
            nursery.start_soon(ask, seats[number % 2])
    assert len(starts) == 20
    for earlier, later in zip(starts, starts[6:], strict=False):
        assert later - earlier >= 60.0 - 1e-6, "more than six within a minute"
    assert starts[-1] - starts[0] <= 60.0 * 3 + 50.0, "it is slower than it has to be"


async def test_a_key_has_its_requests_a_minute_whoever_is_asked(autojump_clock: Any) -> None:
    async with office(changed(Settings(), {"server": {"rate_per_minute": 7}})) as o:
        seats = [await o.seat(1), await o.seat(2)]
        told: list[str] = []
        refusals: list[LimitReached] = []

        async def ask(seat: Seat, key: str) -> None:
            try:
                await seat.admit(key)
                told.append(key)
            except LimitReached as refusal:
                told.append("refused")
                refusals.append(refusal)

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(ask, seats[number % 2], "one")
            nursery.start_soon(ask, seats[0], "another")
        assert sorted(told) == ["another"] + ["one"] * 7 + ["refused"] * 43
        assert all(59 < (refusal.retry_after or 0) <= 60 for refusal in refusals)
        assert all("server.rate_per_minute" in refusal.message for refusal in refusals)
        await trio.sleep(60)
        await seats[1].admit("one")


async def test_a_response_is_continued_shown_and_deleted_by_another_worker() -> None:
    async with office() as o:
        one, other = await o.seat(1), await o.seat(2)
        message = {"id": "msg_1", "type": "message", "role": "assistant", "content": "x" * 1_000_000}
        asked = ({"id": "in_1", "type": "message", "role": "user", "content": "hi"},)
        assert one.put("me", StoredResponse({"id": "resp_1", "output": [message]}, asked))
        assert one.put("me", StoredResponse({"id": "resp_2", "output": []}, (), "resp_1"))
        assert await other.chain("me", "resp_2") == [asked[0], message]
        assert await other.items("me", ["msg_1"]) == {"msg_1": message}
        assert await other.get("me", "resp_2") == StoredResponse({"id": "resp_2", "output": []}, (), "resp_1")
        assert await other.get("somebody else", "resp_2") is None
        assert await other.items("somebody else", ["msg_1"]) == {}
        assert await other.delete("me", "resp_1")
        assert not await other.delete("me", "resp_1")
        with pytest.raises(ResponseMissing) as missing:
            await one.chain("me", "resp_2")
        assert missing.value.missing == "resp_1"


async def test_a_response_that_is_too_large_is_refused_by_the_worker_itself() -> None:
    async with office(changed(Settings(), {"responses": {"max_memory": 100}})) as o:
        one = await o.seat(1)
        assert not one.put("me", StoredResponse({"id": "resp_1", "output": ["x" * 200]}))
        assert await one.get("me", "resp_1") is None


async def test_a_session_stays_on_the_account_where_another_worker_has_it() -> None:
    async with office() as o:
        one, other = await o.seat(1), await o.seat(2)
        assert await other.home("s") == ""
        one.bind("s", "account")
        await settle()
        assert await other.home("s") == "account"


async def test_a_pause_is_known_to_all_at_once_and_to_whoever_starts_later() -> None:
    async with office() as o:
        books = {worker: Cooldowns(AccountSettings()) for worker in (1, 2, 3)}

        async def come(worker: int) -> None:
            seat = await o.seat(worker)
            books[worker].met = seat.tell
            seat.listen(lambda news: books[worker].hear(news, 1000.0))

        await come(1)
        await come(2)
        books[1].note("work", Overloaded("slower", blame=Blame.RATE, retry_after=50.0), 1000.0)
        books[1].note("other", Overloaded("over", blame=Blame.SIGN_IN), 1000.0)
        await settle()
        await come(3)
        await settle()
        for book in books.values():
            assert {c.blame for c in (*book.of("work", 1001.0), *book.of("other", 1001.0))} == {
                Blame.RATE,
                Blame.SIGN_IN,
            }
        # The next refusal counts as a second one, wherever it is met; and an answer ends it for all.
        second = books[2].note("work", Overloaded("slower", blame=Blame.RATE, retry_after=50.0), 1051.0)
        assert second is not None
        assert second.until == 1051.0 + 100.0
        await settle()
        books[3].served("work", "", 1060.0)
        await settle()
        assert [book.of("work", 1061.0) for book in books.values()] == [[], [], []]
        third = books[1].note("work", Overloaded("slower", blame=Blame.RATE, retry_after=50.0), 1070.0)
        assert third is not None
        assert third.until == 1120.0, "after a success the first pause is a short one again"


async def test_where_the_desk_dies_workers_come_back_to_the_next_one() -> None:
    async with office() as o, trio.open_nursery() as nursery:
        seat = await o.seat(1)
        holders = [Asker(seat), Asker(seat)]
        for asker in holders:
            nursery.start_soon(asker)
        await settle()
        waiting = Asker(seat)
        nursery.start_soon(waiting)
        await settle()
        await o.close()
        assert waiting.state == "lost"
        await o.open()
        fresh = Asker(seat)
        nursery.start_soon(fresh)
        with trio.fail_after(10):
            while fresh.state != "in":  # noqa: ASYNC110 - it goes by a socket
                await trio.sleep(0.01)
        for asker in (*holders, fresh):
            asker.leave.set()


@given(
    st.builds(
        News,
        st.text(),
        st.text(),
        st.none()
        | st.builds(
            Cooldown,
            st.sampled_from(list(Blame)),
            st.text(),
            st.floats(0, 1e10),
            st.floats(0, 1e10) | st.just(math.inf),
        ),
        st.floats(0, 1e10) | st.just(-math.inf),
        st.floats(0, 1e10) | st.just(-math.inf),
        st.integers(0, 1000),
    )
)
def test_news_arrive_as_they_were_told(news: News) -> None:
    if news.cooldown is not None:
        news = attrs.evolve(news, cooldown=attrs.evolve(news.cooldown, model=news.model))
    assert news_of(told_of(news)) == news


async def test_a_question_to_all_workers_is_answered_by_each_that_is_there() -> None:
    async with office() as o:
        seats = [await o.seat(number) for number in (1, 2, 3)]
        await settle()
        for seat in seats:
            seat.answers["who"] = lambda suffix, worker=seat.worker: f"{worker}{suffix}"
        assert sorted(await seats[1].everyone("who", "!")) == ["1!", "2!", "3!"]
        assert await seats[0].everyone("something else") == []
        o.leave(3)
        await settle()
        assert sorted(await seats[0].everyone("who", "?")) == ["1?", "2?"]


async def test_a_worker_that_dies_before_it_answers_is_not_waited_for() -> None:
    async with office() as o, trio.open_nursery() as nursery:
        first, second = await o.seat(1), await o.seat(2)
        await settle()
        first.answers["who"] = lambda _: 1
        second.answers["who"] = lambda _: o.leave(2)  # it has no answer to give any more
        told: list[Any] = []

        async def ask() -> None:
            told.extend(await first.everyone("who"))

        nursery.start_soon(ask)
        await settle()
        assert told == [1]


async def test_a_look_that_fails_parts_no_worker_from_the_others() -> None:
    async with office() as o:
        first, second = await o.seat(1), await o.seat(2)
        await settle()
        first.answers["who"] = lambda _: 1 / 0
        second.answers["who"] = lambda _: 2
        assert await second.everyone("who") == [2]
        assert "a question of another worker failed" in o.log.events("error")
        assert await second.everyone("who") == [2]


async def test_what_a_worker_that_is_gone_has_counted_stays_counted() -> None:
    async with office() as o:
        seats = [await o.seat(number) for number in (1, 2)]
        await settle()
        counted = {1: 5, 2: 7}
        for seat in seats:
            seat.answers["metrics"] = lambda _, worker=seat.worker: {
                "process": f"process-{worker}",
                "counters": counted[worker],
            }

        async def told() -> list[tuple[int, bool]]:
            found = await seats[0].everyone("metrics")
            return sorted((one["counters"], one.get("gone", False)) for one in found)

        assert await told() == [(5, False), (7, False)]
        counted[1] = 6
        o.leave(2)
        await settle()
        assert await told() == [(6, False), (7, True)]
        again = await o.seat(2)
        again.answers["metrics"] = lambda _: {"process": "process-3", "counters": 1}
        await settle()
        assert await told() == [(1, False), (6, False), (7, True)], "a new process counts from the beginning"
