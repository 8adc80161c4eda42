"""Four accounts, their users and the service, on a mock clock: days of it pass in seconds, and are watched all along.

Nothing here waits for a socket or a thread: a mock clock would take that for idleness and run away. The service is the
simulator, asked in memory; what belongs into a thread runs in place; the database is a real one.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import attrs
import pytest
import trio
from attrs import define, field
from sqlalchemy import Connection
from support.mocked_time import mocked_time
from support.scripted import RecordingSink
from support.sign_in_service import wall_clock
from support.week_gateway import Gateway, gateway_on, make_flaky
from support.week_service import WatchedService
from support.week_watch import DAY, HOUR, Trace, Watch, asking
from trio.testing import MockClock

from kirotrio.accounts.credential import ApiKey, Credential, Oidc, Social
from kirotrio.accounts.keeping import keep_sign_in
from kirotrio.accounts.lending import upkeep
from kirotrio.accounts.lending.wish import Wish
from kirotrio.accounts.opening import open_shared
from kirotrio.accounts.records import record_of
from kirotrio.accounts.shared import Shared
from kirotrio.accounts.worth import usage_book
from kirotrio.config.settings import AccountSettings, Settings, SimulatorSettings, StoreSettings
from kirotrio.conversation.request import Conversation, Limits, Text, ThinkingSetting, Turn
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.relay.answer import Answer
from kirotrio.relay.request import AnswerRequest, Mode
from kirotrio.simulator import Account, Kind, Simulator, Subscription, identity_center_account
from kirotrio.store import accounts as rows
from kirotrio.store.request_rows import recent
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.api.messages import AnthropicAnswer

MINUTE = 60.0
MODEL = "claude-sonnet-4.5"
LIVES = {"social": 1 * HOUR, "builder": 8 * HOUR, "company": 8 * HOUR}
"""Of access tokens, in seconds; `key` has none that ends."""
NAMES = (*LIVES, "key")
USERS = 5
CONVERSATION = 6 * HOUR
"""Seconds after which a user begins a new one."""
LOOK = 10 * MINUTE
"""Seconds between two looks of the application's tasks: a week of looks every two seconds would only cost time."""
AHEAD, CONCURRENT, PER_MINUTE = 300.0, 3, 12


@define(eq=False)
class Week:
    """The world. `away`: the database is."""

    data_dir: Path
    estimator: TokenEstimator
    chance: random.Random
    resets: Mapping[str, float]
    """When the accounts' plans reset, by Trio's clock; those that are not named do not in that week."""
    log: RecordingLog = field(factory=RecordingLog)
    away: bool = False
    settings: Settings = field(init=False)
    simulator: Simulator = field(init=False)
    watch: Watch = field(init=False)
    service: WatchedService = field(init=False)
    gateway: Gateway | None = None
    gateways: int = 0
    over: bool = False
    """No request is begun any more, and no gateway."""
    done: trio.Event = field(factory=trio.Event)
    _opened: trio.Event = field(factory=trio.Event)
    _under_way: int = 0

    def __attrs_post_init__(self) -> None:
        self.settings = Settings(
            accounts=AccountSettings(
                refresh_ahead=AHEAD,
                max_concurrent=CONCURRENT,
                per_minute=PER_MINUTE,
                usage_every=2 * HOUR,
                models_every=DAY,
            ),
            store=StoreSettings(key_source="file", look_every=LOOK),
        )
        self.simulator = Simulator(
            SimulatorSettings(events=1), accounts=self._accounts(), clock=trio.current_time, wall=wall_clock
        )
        self.watch = Watch(LIVES, NAMES, AHEAD, CONCURRENT, PER_MINUTE, step_behind=LOOK + 10)
        self.service = WatchedService(self.simulator, self.watch)

    def _accounts(self) -> list[Account]:
        accounts = [
            Account("social", refresh_token=_secret("social"), user_id="u-social"),
            Account(
                "builder",
                Kind.BUILDER_ID,
                refresh_token=_secret("builder"),
                client_id="builder-client",
                client_secret="builder-secret",
            ),
            identity_center_account(
                "company", refresh_token=_secret("company"), client_id="company-client", client_secret="company-secret"
            ),
            Account("key", Kind.API_KEY, api_key="ksk_" + "0123456789abcdef" * 3),
        ]
        for account in accounts:
            resets_in = self.resets.get(account.name, 30 * DAY)
            account.subscription = Subscription(resets_at=wall_clock() + resets_in)
        return accounts

    @property
    def wrong(self) -> list[str]:
        return self.watch.wrong

    # The person

    async def change(self, work: Callable[[Connection, Shared], object]) -> None:
        """As commands of the program do; a person tries again until the database is there."""
        shared = (await self.there()).shared
        shared.database.writing(lambda connection: work(connection, shared))

    async def sign_in_again(self, name: str) -> None:
        """Under a new registration, as `kirotrio login --again` does."""
        account, book = self.account(name), self.simulator.book
        account.client_id, account.client_secret = book.register_client()
        book.expires_in = int(LIVES[name])
        grant = book.grant(account)
        account.refresh_token = grant.refresh_token
        credential = _credential(account)
        assert isinstance(credential, Oidc)
        expires_at = wall_clock() + grant.expires_in
        credential = attrs.evolve(credential, access_token=grant.access_token, expires_at=expires_at)
        self.watch.signed_in(name)
        record = record_of(name, credential, created_at=wall_clock())
        await self.change(lambda connection, shared: keep_sign_in(connection, shared.sealer, record, again=name))
        self.watch.let_in(name)

    async def unlock(self, name: str) -> None:
        """As `kirotrio accounts enable` does."""
        await self.change(lambda connection, shared: rows.clear_mark(connection, _id_of(connection, shared, name)))
        self.watch.let_in(name)

    async def switch(self, name: str, *, on: bool) -> None:
        await self.change(lambda connection, shared: rows.set_enabled(connection, _id_of(connection, shared, name), on))
        if on:
            self.watch.let_in(name, switched_on=True)
        else:
            self.watch.switched_off(name)

    # The service

    def account(self, name: str) -> Account:
        return next(account for account in self.simulator.book.accounts if account.name == name)

    @contextmanager
    def failing(self, where: str, status: str) -> Iterator[None]:
        """Every call there fails within."""
        faults = self.simulator._service.faults
        self.simulator.fail_next(where, status, times=10**9)
        fault = faults[-1]
        try:
            yield
        finally:
            faults.remove(fault)

    @contextmanager
    def refusing(self, name: str, status: str, *, tells: float | None = None) -> Iterator[None]:
        """Every generation of that account is refused within. `tells`: seconds of `Retry-After`."""
        self.simulator.refuse(name, status)
        if tells is not None:
            self.service.tells[name] = tells
        try:
            yield
        finally:
            self.simulator.refuse(name, "")
            self.service.tells.pop(name, None)

    def use_up(self, name: str) -> None:
        """All credits of this account, until its plan resets."""
        plan = self.account(name).subscription
        assert plan is not None
        plan.used = plan.limit

    # The gateway

    async def serve(self) -> None:
        """Gateways, one after another, until the week is over."""
        while not self.over:
            async with self._gateway() as self.gateway:
                self._opened.set()
                await self.gateway.stop.wait()
                self._opened = trio.Event()
                while self._under_way:  # noqa: ASYNC110 - a drain: those under way come to their end
                    await trio.sleep(1.0)
        self.done.set()

    @asynccontextmanager
    async def _gateway(self) -> AsyncIterator[Gateway]:
        shared = open_shared(self.settings, self.data_dir)
        if not self.gateways:
            for account in self.simulator.book.accounts:
                record = record_of(account.name, _credential(account), created_at=wall_clock())
                shared.database.writing(lambda connection, record=record: rows.add(connection, shared.sealer, record))
        self.gateways += 1
        self.watch.gateway_began()
        make_flaky(shared.database, lambda: self.away)
        try:
            async with gateway_on(shared, self.settings, self.service, self.watch, self.estimator, self.log) as gateway:
                yield gateway
        finally:
            self.gateway = None
            shared.database.close()

    async def there(self) -> Gateway:
        """The gateway that runs, once one does and the database is there."""
        while self.away or self.gateway is None:  # noqa: ASYNC110 - a clock
            await trio.sleep(MINUTE)
        return self.gateway

    async def restart(self) -> None:
        (await self.there()).stop.set()
        await trio.lowlevel.checkpoint()
        await self._opened.wait()

    # The users

    async def use(self, number: int, every: float) -> None:
        """One person's requests, about every so many seconds, until the week is over."""
        chance = random.Random(f"{number} {self.chance.random()}")
        while not self.over:
            await trio.sleep(chance.expovariate(1 / every))
            await self.ask(self.conversation(number), chance)

    def conversation(self, user: int) -> str:
        """The one that this user is in at present."""
        return f"user-{user}-{trio.current_time() // CONVERSATION:.0f}"

    async def burst(self, session: str, requests: int) -> None:
        """Subagents that are sent off together."""
        async with trio.open_nursery() as nursery:
            for _ in range(requests):
                nursery.start_soon(self.ask, session, self.chance)

    async def rush(self, requests: int) -> None:
        """All users send so many off at one moment."""
        async with trio.open_nursery() as nursery:
            for user in range(USERS):
                nursery.start_soon(self.burst, self.conversation(user), requests)

    async def ask(self, session: str, chance: random.Random) -> None:
        """One request, to its end; some clients leave in the middle."""
        while not self._opened.is_set():
            await self._opened.wait()
        if self.over:
            return
        self._under_way += 1
        trace = Trace(session, trio.current_time())
        asking.set(trace)
        self.watch.traces.append(trace)
        seconds = chance.uniform(1, 20)
        said = f"Say hi to {session} [[head_ms={seconds * 1000:.0f}]]"
        conversation = Conversation(
            model=MODEL,
            turns=(Turn("user", (Text(said),), "messages.0"),),
            thinking=ThinkingSetting(enabled=False),
            limits=Limits(max_tokens=64000),
        )
        number = len(self.watch.traces)
        mode = chance.choice((Mode.LIVE, Mode.BUFFERED, Mode.JSON))
        request = AnswerRequest(conversation, mode, f"req_{number}", Wish(session=session, model=MODEL))
        gateway = self.gateway
        assert gateway is not None
        answer = Answer(gateway.relay, request, AnthropicAnswer(MODEL, f"msg_{number}", f"req_{number}"))
        try:
            with trio.move_on_after(seconds / 2 if chance.random() < 0.05 else float("inf")) as patience:
                await answer.run(RecordingSink())
            trace.left = patience.cancelled_caught
            self.watch.check(trace, gateway.is_free)
        finally:
            self._under_way -= 1

    # The end

    def check_the_books(self) -> None:
        """Every request is in the database, and the credits there are those that the service took."""
        shared = open_shared(self.settings, self.data_dir)
        try:
            kept = shared.database.reading(lambda connection: recent(connection, 1_000_000))
        finally:
            shared.database.close()
        asked = {trace.record.id for trace in self.watch.traces if trace.record is not None}
        if len(kept) != len(asked) or {record.id for record in kept} != asked:
            self.wrong.append(f"{len(asked)} requests were made, and {len(kept)} were kept")
        for account in self.simulator.book.accounts:
            noted = sum(record.credits or 0.0 for record in kept if record.account == account.name)
            if abs(noted - account.credits_used) > 1e-6 * (1 + len(kept)):
                self.wrong.append(f"{account.name} was charged {account.credits_used} credits, and {noted} were noted")
        failures = [fields for level, _, fields in self.log.lines if level == "error" and "exc_info" in fields]
        self.wrong.extend(f"something failed inside: {fields!r}" for fields in failures)


Happening = Callable[[Week], Awaitable[None]]


def run_week(
    data_dir: Path,
    estimator: TokenEstimator,
    length: float,
    *happenings: Happening,
    every: float,
    resets: Mapping[str, float],
    seed: int = 1,
) -> Week:
    """So many seconds of it, with what happens beside. `every`: seconds between a user's requests; `resets` as in
    `Week`.

    The same seed and happenings make the same week.
    """

    async def main() -> Week:
        week = Week(data_dir, estimator, random.Random(seed), resets)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(week.serve)
            for number in range(USERS):
                nursery.start_soon(week.use, number, every)
            for happening in happenings:
                nursery.start_soon(happening, week)
            await trio.sleep_until(length)
            gateway = await week.there()
            week.over = True
            gateway.stop.set()
            await week.done.wait()
            nursery.cancel_scope.cancel()
        week.check_the_books()
        return week

    with mocked_time(seed), pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "_LOOK_EVERY", LOOK)
        patch.setattr(usage_book, "LOOK_EVERY", 2 * LOOK)
        return trio.run(main, clock=MockClock(autojump_threshold=0))


def _credential(account: Account) -> Credential:
    if account.kind is Kind.API_KEY:
        return ApiKey(account.api_key)
    if account.kind is Kind.SOCIAL:
        return Social(refresh_token=account.refresh_token, access_token="", expires_at=None)
    builder = account.kind is Kind.BUILDER_ID
    return Oidc(
        refresh_token=account.refresh_token,
        access_token="",
        expires_at=None,
        client_id=account.client_id,
        client_secret=account.client_secret,
        provider="BuilderId" if builder else "Enterprise",
        start_url="" if builder else "https://company.awsapps.com/start",
        profile_arn=account.profile_arn,
    )


def _id_of(connection: Connection, shared: Shared, name: str) -> str:
    record = rows.find(connection, shared.sealer, name)
    assert record is not None
    return record.id


def _secret(name: str) -> str:
    return f"aor-{name}-".ljust(140, "x")
