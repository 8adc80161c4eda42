"""When another account answers in the place of the first, what that costs, and what goes along; on a mock clock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
import trio
from support.pooled import Scene, pooled
from support.several import kept
from support.sse import names_of, text_of
from trio.testing import MockClock

from kirotrio.conversation.request import Text, Thinking, ThinkingSetting, ToolResult, Turn, WebSearch
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.errors import Blame
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.thinking import wrap_signature
from kirotrio.relay.request import Mode

A, B, C, D = (kept(name, row={"priority": place}) for place, name in enumerate("abcd"))
PRIORITY = {"strategy": "priority"}

Pooled = Callable[..., AbstractAsyncContextManager[Scene]]


@pytest.fixture
def pool(tmp_path: Path, estimator: TokenEstimator) -> Pooled:
    return partial(pooled, tmp_path, estimator)


# Which failures, and how often


async def test_a_refused_token_is_refreshed_once_before_another_answers(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        scene.simulator.refuse("a", "BEARER_INVALID")
        assert (await scene.ask()).status == 200
        assert (scene.names, scene.refreshes()) == ("aab", 1)
        assert scene.blames("a") == [], "a token that is refused is no matter of time"


async def test_a_sign_in_that_is_over_is_not_tried_again(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        scene.simulator.revoke("a")
        assert (await scene.ask()).status == 200
        assert [scene.names[0], scene.names] == ["?", ""], "its token was refused, and so was its refresh token"
        assert scene.blames("a") == [Blame.SIGN_IN]
        assert (await scene.ask()).status == 200
        assert (scene.names, scene.refreshes()) == ("b", 1)


async def test_a_sign_in_service_that_is_away_is_that_accounts_trouble(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        scene.down.add("/refreshToken")
        scene.simulator.revoke(A.account.access_token)
        assert (await scene.ask()).status == 200
        assert scene.asked[-1].account == "b"
        assert scene.blames("a") == [], "nothing is known against the account itself"


async def test_a_second_account_that_is_refused_too_pauses_as_well(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, C, accounts=PRIORITY) as scene:
        scene.simulator.refuse("a", "TEMPORARILY_SUSPENDED")
        scene.simulator.refuse("b", "DAILY_REQUEST_COUNT")
        assert (await scene.ask()).status == 200
        assert scene.names == "abc"
        assert [scene.blames(name) for name in "abc"] == [[Blame.SUSPENDED], [Blame.SHORT_QUOTA], []]
        assert (await scene.ask()).status == 200
        assert scene.names == "c", "the next request asks neither of them"


async def test_three_attempts_in_all_whoever_makes_them(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, C, D, accounts=PRIORITY) as scene:
        told = await scene.ask("[[status=429 retry_after=50]]")
        assert scene.names == "abc"
        assert told.status == 503, "one is left that was not asked: that is no rate limit"
        assert "d: ready, but was not asked" in told.message
        assert (await scene.ask()).status == 200
        assert scene.names == "d"


async def test_repeated_attempts_leave_fewer_for_others(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, C, accounts=PRIORITY) as scene:
        scene.simulator.fail_next("GenerateAssistantResponse", "INSUFFICIENT_MODEL_CAPACITY")
        scene.simulator.refuse("a", "FEATURE_NOT_SUPPORTED")
        scene.simulator.refuse("b", "FEATURE_NOT_SUPPORTED")
        assert (await scene.ask()).status == 503
        assert scene.names == "aab", "no capacity, then not admitted, then not admitted"


@pytest.mark.parametrize("mode", [Mode.BUFFERED, Mode.JSON])
async def test_a_held_answer_may_move_in_the_middle(pool: Pooled, autojump_clock: MockClock, mode: Mode) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        told = await scene.ask("[[events=6 exception=TOO_MANY_REQUESTS fail_first=1 key=x]] hi", mode=mode)
        assert (told.status, scene.names) == (200, "ab")
        assert scene.blames("a") == [Blame.RATE]
        plain = await scene.ask("[[events=6]] hi", mode=mode)
        assert scene.names == "b"
        if mode is Mode.JSON:
            assert told.text == plain.text, "half an answer is left of a's"
            assert told.body["usage"]["output_tokens"] == plain.body["usage"]["output_tokens"]
        else:
            assert text_of(told.sink.body) == text_of(plain.sink.body)
            assert names_of(told.sink.body).count("message_start") == 1


async def test_what_was_paid_for_is_made_again_only_once(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, C, accounts=PRIORITY) as scene:
        told = await scene.ask("[[events=6 exception=TOO_MANY_REQUESTS]] hi")
        assert (told.status, scene.names) == (503, "ab")
        assert "c: ready" in told.message


async def test_a_live_answer_that_has_begun_stays_where_it_is(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        told = await scene.ask("[[events=6 exception=TOO_MANY_REQUESTS]] hi", mode=Mode.LIVE)
        assert (told.status, scene.names) == (200, "a")
        assert names_of(told.sink.body)[-1] == "error"
        assert scene.blames("a") == [Blame.RATE], "the next one need not find out again"
        await scene.ask("hi", mode=Mode.LIVE)
        assert scene.names == "b"


async def test_a_live_answer_that_has_not_begun_may_still_move(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        told = await scene.ask(
            "[[fail_scenario=empty exception=TOO_MANY_REQUESTS fail_first=1 key=x]] hi", mode=Mode.LIVE
        )
        assert (told.status, scene.names) == (200, "ab")
        assert names_of(told.sink.body)[-1] == "message_stop"


async def test_no_capacity_is_no_accounts_fault(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        told = await scene.ask("[[status=INSUFFICIENT_MODEL_CAPACITY]]")
        assert (told.status, scene.names) == (529, "aaa")
        assert scene.blames("a") == []
        assert (await scene.ask()).status == 200
        assert scene.names == "a"


async def test_a_model_that_an_account_lacks_is_elsewhere_for_five_minutes(
    pool: Pooled, autojump_clock: MockClock
) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        scene.simulator.fail_next("GenerateAssistantResponse", "INVALID_MODEL_ID")
        assert (await scene.ask()).status == 200
        assert scene.names == "ab"
        await trio.sleep(250)
        await scene.ask()
        await scene.ask(model="claude-haiku-4.5")
        assert scene.names == "ba", "the pause is this model's alone"
        await trio.sleep(51)
        await scene.ask()
        assert scene.names == "a"


# Suspicion


async def test_nobody_answers_in_the_place_of_a_suspected_account(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts={**PRIORITY, "suspicion_pause": 7200.0}) as scene:
        scene.simulator.refuse("a", "SUSPICIOUS_ACTIVITY")
        told = await scene.ask()
        assert (told.status, scene.names) == (429, "a")
        for _ in range(2):
            again = await scene.ask()
            assert (again.status, scene.names) == (429, ""), "its conversation was answered by another account"
            for said in (told, again):
                assert "Due to suspicious activity, we are imposing temporary limits on how frequently" in said.message
        assert again.retry_after == 7200
        assert "kirotrio accounts disable a" in again.message
        await scene.ask(session="another")
        assert scene.names == "b", "other conversations go on"
        scene.simulator.refuse("a", "")
        await trio.sleep(7201)
        assert (await scene.ask()).status == 200
        assert scene.names == "a"


# What goes along


async def test_ids_are_a_sessions_own_on_each_account(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts={"strategy": "sticky"}) as scene:
        scene.pool.choice.bind("s", "a")
        opening = Turn("user", (Text("Say hi"),), "messages.0")
        using = (
            opening,
            Turn("assistant", (Text("hi"),), "messages.1"),
            Turn("user", (ToolResult("call-1", (Text("done"),)),), "messages.2"),
        )
        asking = (opening, Turn("assistant", (Text("hi"),), "messages.1"), Turn("user", (Text("Go on"),), "messages.2"))
        await scene.ask()
        await scene.ask(turns=using)
        await scene.ask(turns=asking)
        first, tools, further = scene.asked
        assert first.conversation == tools.conversation == further.conversation
        assert first.continuation == tools.continuation != further.continuation, "that of the latest turn of a person"
        scene.asked.clear()
        scene.simulator.refuse("a", "TOO_MANY_REQUESTS")
        await scene.ask(turns=asking)
        await scene.ask(turns=asking)
        there, moved, stayed = scene.asked
        assert [asked.account for asked in scene.asked] == ["a", "b", "b"]
        assert there.conversation == first.conversation
        assert moved.conversation == stayed.conversation != first.conversation, "two accounts share no conversation"


async def test_thinking_that_another_account_signed_stays_behind(pool: Pooled, autojump_clock: MockClock) -> None:
    signature = wrap_signature("claude-opus-5", Credentials("t", account="a").account_hash, "c2lnbmVk")
    turns = (
        Turn("user", (Text("Say hi"),), "messages.0"),
        Turn("assistant", (Thinking("I shall greet", signature), Text("hi")), "messages.1"),
        Turn("user", (Text("Again"),), "messages.2"),
    )
    thinking = ThinkingSetting(enabled=True, asked=True, accepted=True)
    async with pool(A, B, accounts=PRIORITY) as scene:
        scene.simulator.refuse("a", "TOO_MANY_REQUESTS")
        assert (await scene.ask(turns=turns, thinking=thinking, model="claude-opus-5")).status == 200
        signed = ["c2lnbmVk" in str(asked.body) for asked in scene.asked]
        assert (scene.names, signed) == ("ab", [True, False])


# Searches


@pytest.mark.parametrize(
    ("refusal", "blame"),
    [
        ("TOO_MANY_REQUESTS", Blame.RATE),
        ("SUSPICIOUS_ACTIVITY", Blame.SUSPICIOUS),
        ("TEMPORARILY_SUSPENDED", Blame.SUSPENDED),
        ("MONTHLY_REQUEST_COUNT", Blame.QUOTA),
    ],
)
async def test_what_a_search_meets_is_known_of_its_account(
    pool: Pooled, autojump_clock: MockClock, refusal: str, blame: Blame
) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        scene.simulator.fail_next("InvokeMCP", refusal)
        searching = {"web_search": WebSearch()}
        told = await scene.ask("[[scenario=web-search]] find it", more=searching, session="first")
        assert told.status == 200, "a search that fails never ends an answer"
        assert scene.blames("a") == [blame]
        assert scene.names.startswith("aa"), "the answer goes on where it began"
        await scene.ask(session="second")
        assert scene.names == "b"


async def test_a_search_that_the_plan_lacks_says_nothing_of_answers(pool: Pooled, autojump_clock: MockClock) -> None:
    async with pool(A, B, accounts=PRIORITY) as scene:
        scene.simulator.fail_next("InvokeMCP", "FEATURE_NOT_SUPPORTED")
        await scene.ask("[[scenario=web-search]] find it", more={"web_search": WebSearch()})
        assert scene.blames("a") == []
