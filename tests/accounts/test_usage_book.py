"""What is known of each account, for how long, and who keeps it known."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import attrs
import pytest
import trio
from support.sign_in_service import wall_clock
from support.simulated_http import SimulatedHttp
from trio.testing import MockClock

from kirotrio.accounts.worth.model_lists import ModelLists
from kirotrio.accounts.worth.usage_book import LOOK_EVERY, UsageBook, keep_known
from kirotrio.config.settings import AccountSettings, Settings, UpstreamSettings
from kirotrio.errors import AccountSuspended, KirotrioError, StoreUnavailable
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.models import STATIC_CATALOGUE
from kirotrio.simulator import Account, Simulator, Subscription
from kirotrio.telemetry.log import RecordingLog, SilentLog

SETTINGS = Settings(upstream=UpstreamSettings(portal_url="http://portal"))
EVERY = SETTINGS.accounts.usage_every
DAY = 86_400.0


class MemorySnapshots:
    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], tuple[str, float]] = {}
        self.away = False

    async def save(self, account: str, topic: str, content: str, fetched_at: float) -> None:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise StoreUnavailable("the database is away")
        self.kept[account, topic] = (content, fetched_at)

    async def load(self, account: str, topic: str) -> tuple[str, float] | None:
        await trio.lowlevel.checkpoint()
        if self.away:
            raise StoreUnavailable("the database is away")
        return self.kept.get((account, topic))


def simulated(*names: str, **fields: object) -> SimulatedHttp:
    accounts = [
        Account(
            name,
            access_token=name,
            **{"email": "e", "subscription": Subscription(limit=100), **fields},
        )
        for name in names or ("work",)
    ]
    simulator = Simulator(accounts=accounts, clock=trio.current_time, wall=wall_clock, expires_in=10**9)
    return SimulatedHttp(simulator)


def token(name: str = "work") -> Callable[[], Awaitable[Credentials]]:
    async def credentials() -> Credentials:
        return Credentials(name, account=name)

    return credentials


def book(http: SimulatedHttp, snapshots: MemorySnapshots | None = None) -> UsageBook:
    return UsageBook(http, SETTINGS, SilentLog(), snapshots=snapshots, now=wall_clock)


async def test_figures_are_asked_for_once_they_are_old(autojump_clock: MockClock) -> None:
    http = simulated()
    usage = book(http)
    assert usage.known("work") is None
    assert usage.left("work") is None
    for pause, calls in ((0.0, 1), (EVERY - 1, 1), (1.0, 2), (EVERY / 2, 2)):
        await trio.sleep(pause)
        assert (await usage.current("work", token())).limit == 100.0
        assert len(http.calls) == calls, f"after {trio.current_time()} seconds"
    await usage.refresh("work", token(), anew=True)
    assert len(http.calls) == 3


@pytest.mark.parametrize("anew", [False, True])
async def test_many_who_ask_at_once_make_one_call(autojump_clock: MockClock, anew: bool) -> None:
    http = simulated()
    usage = book(http)
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(lambda: usage.refresh("work", token(), anew=anew))
    assert len(http.calls) == 1


async def test_a_failure_is_remembered_for_a_minute_and_hides_nothing_known(autojump_clock: MockClock) -> None:
    http = simulated()
    usage = book(http)
    http.simulator.refuse("work", "TEMPORARILY_SUSPENDED")
    for _ in range(3):
        with pytest.raises(AccountSuspended):
            await usage.current("work", token())
    assert len(http.calls) == 1
    assert isinstance(usage.trouble("work"), AccountSuspended)
    http.simulator.refuse("work", "")
    await trio.sleep(60)
    assert (await usage.current("work", token())).limit == 100.0
    assert usage.trouble("work") is None
    http.simulator.refuse("work", "TEMPORARILY_SUSPENDED")
    await trio.sleep(EVERY)
    assert (await usage.current("work", token())).limit == 100.0, "what was known before"
    assert usage.trouble("work") is not None


async def test_cancelling_one_who_asks_leaves_the_others_their_answer(autojump_clock: MockClock) -> None:
    http = simulated()
    usage = book(http)
    http.script = [10.0]
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(1) as scope:
            await usage.current("work", token())
        assert scope.cancelled_caught
        nursery.start_soon(usage.current, "work", token())
    assert usage.known("work") is not None
    assert usage.trouble("work") is None, "a cancelled look is no failed one"


async def test_a_snapshot_survives_the_process_and_says_how_old_it_is(autojump_clock: MockClock) -> None:
    http, snapshots = simulated(), MemorySnapshots()
    first = await book(http, snapshots).current("work", token())
    await trio.sleep(EVERY - 10)
    again = book(http, snapshots)
    assert await again.recall("work") == first
    assert again.fetched_at("work") == first.fetched_at
    assert await again.current("work", token()) == first
    assert len(http.calls) == 1, "it is fresh still"
    await trio.sleep(10)
    assert (await again.current("work", token())).fetched_at > first.fetched_at
    assert len(http.calls) == 2
    content = json.loads(snapshots.kept["work", "usage"][0])
    assert content["answer"]["subscriptionInfo"]["subscriptionTitle"] == "KIRO PRO", "the answer as it came"


async def test_what_another_gateway_was_told_is_not_asked_again(autojump_clock: MockClock) -> None:
    http, snapshots = simulated(), MemorySnapshots()
    one, other = book(http, snapshots), book(http, snapshots)
    await one.current("work", token())
    await trio.sleep(EVERY)
    await other.current("work", token())
    assert (await one.current("work", token())).fetched_at == wall_clock()
    assert len(http.calls) == 2


async def test_a_database_that_is_away_or_a_damaged_snapshot_costs_one_call(autojump_clock: MockClock) -> None:
    for content in ("{", '{"answer": 5}', "[]", '{"source": "limits", "answer": {}}'):
        http, snapshots = simulated(), MemorySnapshots()
        snapshots.kept["work", "usage"] = (content, wall_clock())
        assert await book(http, snapshots).recall("work") is None, content
        assert (await book(http, snapshots).current("work", token())).limit == 100.0
    snapshots.away = True
    assert (await book(http, snapshots).current("work", token())).limit == 100.0


async def test_a_snapshot_from_the_future_does_not_live_for_ever(autojump_clock: MockClock) -> None:
    http, snapshots = simulated(), MemorySnapshots()
    await book(http, snapshots).current("work", token())
    content, _ = snapshots.kept["work", "usage"]
    snapshots.kept["work", "usage"] = (content, wall_clock() + 365 * DAY)
    usage = book(http, snapshots)
    assert await usage.recall("work") is not None, "better than nothing"
    assert usage.fetched_at("work") == wall_clock() - EVERY
    await usage.current("work", token())
    assert len(http.calls) == 2, "it counts as old"
    snapshots.kept["work", "usage"] = (content, wall_clock() + 365 * DAY)
    await trio.sleep(EVERY)
    await usage.current("work", token())
    assert len(http.calls) == 3


async def test_another_machines_clock_may_be_ahead_a_little(autojump_clock: MockClock) -> None:
    http, snapshots = simulated(), MemorySnapshots()
    await book(http, snapshots).current("work", token())
    content, _ = snapshots.kept["work", "usage"]
    snapshots.kept["work", "usage"] = (content, wall_clock() + 30)
    usage = book(http, snapshots)
    await usage.current("work", token())
    assert usage.fetched_at("work") == wall_clock()
    assert len(http.calls) == 1


async def test_credits_left_are_what_is_paid_for_until_the_reset(autojump_clock: MockClock) -> None:
    subscription = Subscription(limit=100, used=30, overage_enabled=True, resets_at=wall_clock() + 100)
    usage = book(simulated(subscription=subscription))
    await usage.current("work", token())
    assert usage.left("work") == 70.0
    await trio.sleep(100)
    assert usage.left("work") is None, "after the reset nobody knows before it was asked"


async def test_the_next_reset_is_known_without_a_call_until_it_has_passed(autojump_clock: MockClock) -> None:
    reset = wall_clock() + 100
    http = simulated(subscription=Subscription(resets_at=reset, period=DAY))
    usage = book(http)
    assert await usage.next_reset("work", token()) == reset
    assert await usage.next_reset("work", token()) == reset
    assert len(http.calls) == 1
    await trio.sleep(101)
    assert await usage.next_reset("work", token()) == reset + DAY
    assert len(http.calls) == 2
    http.simulator.refuse("work", "TEMPORARILY_SUSPENDED")
    await trio.sleep(DAY)
    assert await usage.next_reset("work", token()) is None


async def test_whose_an_account_is_is_asked_once_a_day_at_most(autojump_clock: MockClock) -> None:
    http = simulated(email="")
    http.simulator.fail_next("GetUserInfo", "INTERNAL", times=3)
    usage = book(http)
    for _ in range(5):
        await usage.current("work", token())
        await trio.sleep(EVERY)
    assert http.paths.count("GetUserInfo") == 1
    await trio.sleep(DAY)
    await usage.current("work", token())
    assert http.paths.count("GetUserInfo") == 2


async def test_a_known_person_and_spelling_are_not_asked_for_again(autojump_clock: MockClock) -> None:
    http = simulated(email="", identity="BuilderId")
    usage = book(http)
    assert (await usage.current("work", token())).email == "work@example.com"
    tried = http.paths.count("GetUserInfo")
    assert tried == 3, "Github, Google, BuilderId"
    await trio.sleep(2 * DAY)
    assert (await usage.current("work", token())).email == "work@example.com"
    assert http.paths.count("GetUserInfo") == tried
    http.simulator.fail_next("/getUsageLimits", "INTERNAL")
    await trio.sleep(EVERY)
    assert (await usage.current("work", token())).source == "portal"
    assert http.paths[-2:] == ["GetUserUsageAndLimits", "GetUserInfo"], "with the spelling that worked, at once"
    assert http.paths.count("GetUserUsageAndLimits") == 1


async def test_forgetting_an_account(autojump_clock: MockClock) -> None:
    http = simulated()
    usage = book(http)
    await usage.current("work", token())
    usage.forget("work")
    assert (usage.known("work"), usage.has("work")) == (None, False)


# -- models ----------------------------------------------------------------------------------------------------------


async def test_models_come_with_all_their_pages_and_as_a_snapshot(autojump_clock: MockClock) -> None:
    http, snapshots = simulated(), MemorySnapshots()
    whole = await ModelLists(http, SETTINGS, SilentLog(), now=wall_clock).current("work", token())

    class Paged(SimulatedHttp):
        """The service gives three at a time."""

        async def call(self, method: str, url: str, **members: object):
            return await super().call(method, url.replace("maxResults=50", "maxResults=3"), **members)

    paged = Paged(http.simulator)
    lists = ModelLists(paged, SETTINGS, SilentLog(), snapshots=snapshots, now=wall_clock)
    assert lists.known("work") is STATIC_CATALOGUE
    catalogue = await lists.current("work", token())
    assert len(paged.calls) > 3
    assert [model.id for model in catalogue.models] == [model.id for model in whole.models]
    assert catalogue.complete
    again = ModelLists(http, SETTINGS, SilentLog(), snapshots=snapshots, now=wall_clock)
    assert [model.id for model in (await again.recall("work")).models] == [model.id for model in whole.models]
    assert again.fetched_at("work") == wall_clock()


async def test_a_list_of_models_is_old_after_its_own_time(autojump_clock: MockClock) -> None:
    http = simulated()
    settings = Settings(accounts=AccountSettings(models_every=50.0))
    lists = ModelLists(http, settings, SilentLog(), now=wall_clock)
    for pause, calls in ((0.0, 1), (49.0, 1), (1.0, 2)):
        await trio.sleep(pause)
        await lists.current("work", token())
        assert len(http.calls) == calls
    http.simulator.refuse("work", "INTERNAL")
    await trio.sleep(50)
    assert (await lists.current("work", token())).complete, "what was known before"
    assert lists.trouble("work") is not None
    with pytest.raises(KirotrioError):
        await lists.refresh("work", token())


# -- in the background -----------------------------------------------------------------------------------------------


@attrs.define
class Peeked:
    name: str
    good: bool = True
    peeks: int = 0

    async def peek(self) -> Credentials | None:
        self.peeks += 1
        return Credentials(self.name, account=self.name) if self.good else None


async def test_the_background_keeps_all_accounts_known_and_never_more_than_three_calls(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    names = [f"account-{number}" for number in range(10)]
    http = simulated(*names)
    http.script = [0.5] * 20
    usage, models = book(http), ModelLists(http, SETTINGS, SilentLog(), now=wall_clock)
    accounts = [Peeked(name) for name in names]
    nursery.start_soon(keep_known, lambda: accounts, usage, models, SilentLog())
    await trio.sleep(LOOK_EVERY / 2)
    assert all(usage.known(name) is not None and models.known(name).complete for name in names)
    assert http.most_running == 3
    assert len(http.calls) == 20
    await trio.sleep(EVERY)
    assert http.paths.count("getUsageLimits") == 20, "old figures were asked for anew"
    assert http.paths.count("ListAvailableModels") == 10, "lists live longer"


async def test_an_account_without_a_good_token_is_left_alone(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    http = simulated("good", "expired")
    usage, models = book(http), ModelLists(http, SETTINGS, SilentLog(), now=wall_clock)
    expired = Peeked("expired", good=False)
    nursery.start_soon(keep_known, lambda: [expired, Peeked("good")], usage, models, SilentLog())
    await trio.sleep(1)
    assert usage.known("good") is not None
    assert usage.known("expired") is None
    assert {call.headers["authorization"] for call in http.calls} == {"Bearer good"}
    expired.good = True
    await trio.sleep(LOOK_EVERY)
    assert usage.known("expired") is not None, "somebody used it meanwhile, and its token is good now"


async def test_nothing_ends_the_background(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    http = simulated("bad", "good")
    http.simulator.refuse("bad", "SUSPENDED")
    log = RecordingLog()
    usage, models = book(http), ModelLists(http, SETTINGS, log, now=wall_clock)
    rounds: list[int] = []

    class Broken(Peeked):
        async def peek(self) -> Credentials | None:
            raise ValueError("a fault of ours")

    def accounts() -> list[Peeked]:
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("another fault of ours")
        return [Broken("broken"), Peeked("bad"), Peeked("good")]

    nursery.start_soon(keep_known, accounts, usage, models, log)
    await trio.sleep(3 * LOOK_EVERY + 1)
    assert len(rounds) == 4
    assert usage.known("good") is not None
    assert isinstance(usage.trouble("bad"), AccountSuspended)
