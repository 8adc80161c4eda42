"""Which accounts a request may have, what becomes of them, and what is told where none is left; on a mock clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
from support.pooled import Scene, Told, pooled
from support.several import kept
from support.sign_in_service import EPOCH
from trio.testing import MockClock

from kirotrio.accounts.lending.readiness import Readiness
from kirotrio.accounts.lending.states import moment
from kirotrio.accounts.lending.upkeep import reconsider
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.errors import Blame, RateLimited
from kirotrio.simulator import Subscription
from kirotrio.store import accounts as rows

Pooled = Callable[..., AbstractAsyncContextManager[Scene]]

A, B, C = (kept(name, row={"priority": place}) for place, name in enumerate("abc"))
PRIORITY = {"strategy": "priority"}
DAY = 86_400.0


@pytest.fixture
def pool(tmp_path: Path, estimator: TokenEstimator) -> Pooled:
    return partial(pooled, tmp_path, estimator)


# Strategies


async def test_sticky_keeps_a_session_and_a_session_that_moved_stays(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, C) as scene:
        for session in ("one", "two", "three", "four"):
            for _ in range(3):
                await scene.ask(session=session)
            names = scene.names
            assert names == names[0] * 3
        await scene.ask(session="one")
        home = scene.names
        scene.simulator.refuse(home, "TOO_MANY_REQUESTS")
        await scene.ask(session="one")
        _, moved = scene.names
        scene.simulator.refuse(home, "")
        await trio.sleep(3000)
        assert scene.pauses(home) == []
        await scene.ask(session="one")
        assert scene.names == moved, "a session that had to move went back"


async def test_priority_goes_back_to_the_first_as_soon_as_it_may(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, C, accounts=PRIORITY) as scene:
        scene.simulator.fail_next("GenerateAssistantResponse", "TOO_MANY_REQUESTS")
        await scene.ask()
        await scene.ask()
        await trio.sleep(31)
        await scene.ask()
        assert scene.names == "abba"


async def test_round_robin_asks_each_in_turn(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, C, accounts={"strategy": "round-robin"}) as scene:
        for _ in range(6):
            await scene.ask()
        names = scene.names
        assert sorted(names[:3]) == ["a", "b", "c"]
        assert names[:3] == names[3:]
        await scene.change("a", lambda connection, account: rows.set_enabled(connection, account, False))
        for _ in range(4):
            await scene.ask()
        assert scene.names in ("bcbc", "cbcb")


async def test_balanced_asks_the_one_with_most_credits_left(pool: Pooled, autojump_clock: MockClock) -> None:
    used = {"a": 900.0, "b": 100.0, "c": 500.0}
    accounts = [kept(name, subscription=Subscription(used=spent)) for name, spent in used.items()]
    async with pool(*accounts, accounts={"strategy": "balanced"}) as scene:
        await scene.know_usage()
        await scene.ask()
        scene.simulator.refuse("b", "TOO_MANY_REQUESTS")
        await scene.ask()
        assert scene.names == "bbc"


# Which may serve


async def test_only_accounts_whose_plan_offers_the_model_are_asked(pool: Pooled, autojump_clock: MockClock) -> None:
    poor = kept("a", row={"priority": 0}, models=frozenset({"claude-haiku-4.5"}))
    async with pool(poor, B, accounts=PRIORITY) as scene:
        await scene.know_models()
        await scene.ask()
        await scene.ask(model="claude-haiku-4.5")
        assert scene.names == "ba"
        scene.simulator.refuse("b", "DAILY_REQUEST_COUNT")
        told = await scene.ask()
        assert (scene.names, told.status) == ("b", 429)
        assert "a: its plan does not offer 'claude-sonnet-4.5'" in told.message


async def test_a_named_account_answers_or_nobody(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        await scene.ask(account="b")
        assert scene.names == "b"
        scene.simulator.refuse("b", "TOO_MANY_REQUESTS")
        told = await scene.ask(account="b")
        assert (scene.names, told.status) == ("b", 429)
        unknown = await scene.ask(account="z")
        assert (unknown.status, scene.names) == (404, "")
        assert "no account named 'z'" in unknown.message


async def test_a_key_has_its_own_accounts(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, C, accounts=PRIORITY) as scene:
        told = await scene.ask("[[status=429]]", allowed=frozenset("bc"))
        assert (scene.names, told.status) == ("bc", 429)
        assert "a: " not in told.message, "it is told of accounts that are not its own"
        assert (await scene.ask(allowed=frozenset("a"), account="b")).status == 403
        assert (await scene.ask(allowed=frozenset())).status == 403
        assert scene.names == ""


async def test_a_sign_in_that_comes_along_is_nobody_elses(pool: Pooled, autojump_clock: MockClock) -> None:
    guest = kept("guest")
    async with pool(A, later=[guest]) as scene:
        own = guest.account.refresh_token
        await scene.ask(credential=own)
        told = await scene.ask("[[status=429]]", credential=own)
        assert (scene.names, told.status) == ("guestguest", 429), "another's account answered in its place"
        assert (await scene.ask(credential=own, account="a")).status == 404
        assert scene.blames("a") == []


# Their life


async def test_a_used_up_account_comes_back_at_its_reset(pool: Pooled, autojump_clock: MockClock) -> None:
    spent = Subscription(limit=10.0, used=10.0, resets_at=EPOCH + 3 * DAY)
    async with pool(kept("a", subscription=spent)) as scene:
        told = await scene.ask()
        (pause,) = scene.pauses("a")
        assert (pause.blame, pause.until) == (Blame.QUOTA, EPOCH + 3 * DAY)
        assert (told.status, scene.names) == (429, "a")
        assert told.retry_after == pytest.approx(3 * DAY, abs=60)
        again = await scene.ask()
        assert (scene.names, await scene.pool.readiness()) == ("", Readiness.UNAVAILABLE)
        for message in (told.message, again.message):
            assert "2027-01-18 08:00 UTC" in message
        await trio.sleep(3 * DAY + 1)
        assert (await scene.ask()).status == 200


async def test_credits_that_are_there_again_end_the_pause(pool: Pooled, autojump_clock: MockClock) -> None:
    spent = Subscription(limit=10.0, used=10.0, resets_at=EPOCH + 20 * DAY)
    async with pool(kept("a", subscription=spent)) as scene:
        await scene.ask()
        await trio.sleep(60)
        await scene.know_usage()
        reconsider(scene.pool, scene.member("a"))
        assert scene.blames("a") == [Blame.QUOTA], "nothing is there yet"
        account = scene.simulator.book.accounts[0]
        account.subscription = attrs.evolve(spent, limit=100.0)
        await trio.sleep(60)
        await scene.know_usage()
        reconsider(scene.pool, scene.member("a"))
        assert scene.blames("a") == []
        assert (await scene.ask()).status == 200


async def test_a_suspension_outlives_the_gateway_and_ends_when_a_person_says_so(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        scene.simulator.refuse("a", "TEMPORARILY_SUSPENDED")
        await scene.ask()
        assert scene.names == "ab"
        await scene.pool.write()
        simulator = scene.simulator
    simulator.refuse("a", "")
    async with pool(simulator=simulator, accounts=PRIORITY) as scene:
        await trio.sleep(30 * DAY)
        assert scene.blames("a") == [Blame.SUSPENDED]
        await scene.ask()
        assert scene.names == "b"
        told = await scene.ask(account="a")
        assert (told.status, scene.names) == (503, "")
        assert "kirotrio accounts enable a" in told.message
        await scene.change("a", lambda connection, account: rows.clear_mark(connection, account))
        await scene.ask()
        assert scene.names == "a"


async def test_an_account_that_is_switched_off_is_left_alone(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A) as scene:
        await scene.change("a", lambda connection, account: rows.set_enabled(connection, account, False))
        told = await scene.ask()
        assert (told.status, scene.names) == (503, "")
        assert "a: switched off (run `kirotrio accounts enable a`)" in told.message
        assert scene.pool.accounts() == []
        await scene.change("a", lambda connection, account: rows.set_enabled(connection, account, True))
        assert (await scene.ask()).status == 200


# In step with the store


async def test_accounts_come_go_and_change_under_a_running_gateway(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts=PRIORITY, later=[C]) as scene:
        before = scene.member("a")
        await scene.put(C)
        assert [member.name for member in scene.pool.present()] == ["a", "b", "c"]
        assert scene.member("a") is before, "an account that nobody touched was made anew"
        await scene.update("c", priority=-1)
        await scene.ask()
        assert scene.names == "c"
        await scene.update("c", max_concurrent=1)
        assert scene.member("c").gate.limits.max_concurrent == 1
        await scene.change("c", rows.remove)
        await scene.ask()
        assert scene.names == "a"
        assert (await scene.ask(account="c")).status == 404


async def test_an_account_that_is_removed_while_it_answers_answers_to_the_end(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    told: list[Told] = []
    async with pool(A, B, accounts=PRIORITY) as scene, trio.open_nursery() as nursery:

        async def ask() -> None:
            told.append(await scene.ask("[[head_ms=60000]] hi"))

        nursery.start_soon(ask)
        await trio.sleep(30)
        await scene.change("a", rows.remove)
        assert not told
        await scene.ask(session="other")
        assert scene.names == "ab"
        nursery.cancel_scope.deadline = trio.current_time() + 60
    assert [one.status for one in told] == [200]


async def test_a_renamed_account_keeps_what_is_known_against_it(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        key = scene.member("a").key
        scene.simulator.refuse("a", "TEMPORARILY_SUSPENDED")
        await scene.ask()
        assert scene.names == "ab"
        await scene.change("a", lambda connection, account: rows.rename(connection, account, "work"))
        assert (scene.member("work").key, scene.blames("work")) == (key, [Blame.SUSPENDED])
        told = await scene.ask(account="work")
        assert (told.status, scene.names) == (503, "")
        assert (await scene.ask(account="a")).status == 404


async def test_a_mark_that_is_written_late_does_not_undo_what_a_person_did(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        scene.simulator.refuse("a", "TEMPORARILY_SUSPENDED")
        await scene.ask()
        scene.simulator.refuse("a", "")
        await trio.sleep(1)
        await scene.change("a", lambda connection, account: rows.set_enabled(connection, account, True))
        assert scene.blames("a") == [Blame.SUSPENDED], "not yet written, and kept for that long"
        await scene.pool.write()
        await scene.pool.look()
        assert scene.blames("a") == []
        await scene.ask()
        assert scene.names == "aba"


async def test_a_rename_leaves_requests_sessions_and_places_as_they_are(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    told: list[Told] = []
    async with pool(A, B, accounts={"max_concurrent": 1}) as scene, trio.open_nursery() as nursery:
        await scene.ask(session="mine")
        home = scene.names

        async def ask() -> None:
            told.append(await scene.ask("[[head_ms=60000]] hi", session="mine"))

        nursery.start_soon(ask)
        await trio.sleep(30)
        await scene.change(home, lambda connection, account: rows.rename(connection, account, "work"))
        assert scene.member("work").gate.busy == 1, "the place that is taken is not counted any more"
        assert scene.pool.choice.home("mine") == "work"
        await scene.ask(session="another")
        first, second = scene.names
        assert first != second, "more requests at one time than the account may have"
        nursery.cancel_scope.deadline = trio.current_time() + 60
    assert [one.status for one in told] == [200]


# Manners


async def ask_all(scene: Scene, many: int, text: str, *, apart: float = 0.0) -> list[Told]:
    """So many requests of one session, begun at one time or so many seconds apart; their answers in the order in which
    they ended."""
    told: list[Told] = []

    async def ask(after: float) -> None:
        await trio.sleep(after)
        told.append(await scene.ask(text))

    async with trio.open_nursery() as nursery:
        for number in range(many):
            nursery.start_soon(ask, number * apart)
    return told


async def test_other_accounts_are_asked_before_anybody_waits(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts={**PRIORITY, "max_concurrent": 1}, deadlines={"queue": 30.0}) as scene:
        told = await ask_all(scene, 4, "[[head_ms=20000]] hi")
        assert [one.status for one in told] == [200] * 4
        begun = [(asked.at, asked.account) for asked in scene.asked]
        assert sorted(begun) == [(0.0, "a"), (0.0, "b"), (20.0, "a"), (20.0, "b")]


async def test_whoever_waits_too_long_for_a_place_is_told_when_to_ask_again(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    async with pool(A, accounts={"max_concurrent": 1}, deadlines={"queue": 10.0}) as scene:
        late, served = await ask_all(scene, 2, "[[head_ms=20000]] hi", apart=1.0)
        assert (late.status, served.status, scene.names) == (429, 200, "a")
        assert late.retry_after >= 1
        assert "the account 'a' answers 1 requests at one time".lower() in late.message.lower()
        assert scene.blames("a") == [], "our own limit says nothing of the account"


async def test_a_full_queue_refuses_and_says_of_which_accounts(pool: Pooled, autojump_clock: MockClock) -> None:
    limits = {**PRIORITY, "max_concurrent": 1, "max_queue": 1}
    async with pool(A, B, accounts=limits, deadlines={"queue": 60.0}) as scene:
        told = await ask_all(scene, 4, "[[head_ms=20000]] hi", apart=1.0)
        assert sorted(one.status for one in told) == [200, 200, 200, 429]
        (refused,) = [one for one in told if one.status == 429]
        assert "a: " in refused.message
        assert "b: " in refused.message
        assert refused.retry_after >= 1


async def test_the_pace_of_an_account_is_kept_and_another_is_asked_before(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    limits = {**PRIORITY, "per_minute": 1}
    async with pool(A, B, accounts=limits, deadlines={"queue": 20.0}) as scene:
        told = [await scene.ask() for _ in range(3)]
        assert scene.names == "ab"
        assert [one.status for one in told] == [200, 200, 429]
        assert 40 <= told[-1].retry_after <= 60
        await trio.sleep(60)
        await scene.ask()
        assert scene.names == "a"


async def test_further_attempts_keep_the_pace_too(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, accounts={"per_minute": 1}, deadlines={"queue": 100.0}) as scene:
        assert (await scene.ask("[[status=500 fail_first=1]] hi")).status == 200
        first, second = scene.asked
        assert second.at - first.at >= 60


async def test_a_further_attempt_leaves_an_account_that_was_paused_meanwhile(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    async with pool(A, B, accounts={**PRIORITY, "per_minute": 1}, deadlines={"queue": 100.0}) as scene:
        scene.simulator.fail_next("GenerateAssistantResponse", "INTERNAL")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.ask)
            await trio.sleep(10)  # it waits for its second start on `a`
            member = scene.member("a")
            limited = RateLimited("too many requests", retry_after=600.0, blame=Blame.RATE)
            scene.pool.cooldowns.note(member.key, limited, scene.pool.now())
        assert scene.names == "ab", "an account in a pause was asked"


async def test_nobody_is_sent_to_a_used_up_account_while_its_reset_is_asked_for(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        scene.slow["/getUsageLimits"] = 5.0
        scene.simulator.refuse("a", "MONTHLY_REQUEST_COUNT")
        told = await ask_all(scene, 3, "hi", apart=1.0)
        assert [one.status for one in told] == [200] * 3
        assert scene.names.count("a") == 1
        (pause,) = scene.pauses("a")
        assert pause.blame is Blame.QUOTA
        assert pause.until > EPOCH + DAY, "the date of the reset is not known"


async def test_a_client_that_leaves_while_it_waits_leaves_its_place_in_line(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    async with pool(A, accounts={"max_concurrent": 1}) as scene, trio.open_nursery() as nursery:
        nursery.start_soon(partial(scene.ask, "[[head_ms=20000]] hi"))
        await trio.sleep(1)
        with trio.move_on_after(5) as leaving:
            await scene.ask("too long")
        assert leaving.cancelled_caught
        assert (scene.member("a").gate.busy, scene.member("a").gate.waiting) == (1, 0)


@pytest.mark.parametrize(
    "refusal",
    ["DAILY_REQUEST_COUNT", "MONTHLY_REQUEST_COUNT", "SUSPICIOUS_ACTIVITY", "CREDIT_CONSUMPTION_RATE_EXCEEDED"],
)
async def test_the_first_refusal_tells_as_much_as_the_next(
    pool: Pooled, autojump_clock: MockClock, refusal: str
) -> None:
    async with pool(A, accounts=PRIORITY) as scene:
        scene.simulator.refuse("a", refusal)
        first, second = await scene.ask(), await scene.ask()
        assert scene.names == "a"
        assert first.status == second.status == 429
        assert abs(first.retry_after - second.retry_after) <= 1, (first.message, second.message)
        (pause,) = scene.pauses("a")
        if pause.blame in (Blame.QUOTA, Blame.SHORT_QUOTA):
            assert f" {moment(pause.until, scene.pool.now())}." in first.message


async def test_a_model_that_is_refused_is_told_with_its_account_and_its_time(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        scene.simulator.refuse("a", "INVALID_MODEL_ID")
        await scene.know_models()
        first, second = [await scene.ask(account="a") for _ in range(2)]
        assert scene.names == "a"
        (pause,) = scene.pauses("a")
        for told in (first, second):
            assert told.status == 404
            assert f"a: does not have '{pause.model}' at present, asked again from " in told.message
            assert moment(pause.until, scene.pool.now()) in told.message
            assert "claude-opus" in told.message, "which models there are"


async def test_what_keeps_each_account_is_told_with_its_time(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, C, accounts=PRIORITY) as scene:
        scene.simulator.refuse("a", "TEMPORARILY_SUSPENDED")
        scene.simulator.refuse("b", "DAILY_REQUEST_COUNT")
        scene.simulator.refuse("c", "CREDIT_CONSUMPTION_RATE_EXCEEDED")
        first, second = await scene.ask(), await scene.ask()
        assert scene.names == "abc"
        for told in (first, second):
            assert told.status == 429
            assert told.retry_after <= 300
            said = told.message
            assert "a: suspended" in said
            assert "b: used up for now, until 2027-01-16 00:00 UTC" in said
            assert "c: used too fast, paused until 2027-01-15 08:05:00 UTC" in said
            assert said.index("c: ") < said.index("b: ") < said.index("a: "), "the most hopeful first"
