"""Four accounts, their users and the service, on a mock clock: days of it pass in seconds, and are watched all along.

Nothing here waits for a socket or a thread: a mock clock would take that for idleness and run away. The service is the
simulator, asked in memory; what belongs into a thread runs in place; the database is a real one.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import attrs
import orjson
import pytest
import trio
from attrs import define, field, frozen
from sqlalchemy import event
from support.scripted import RecordingSink
from support.sign_in_service import wall_clock

from kirotrio.accounts import upkeep
from kirotrio.accounts.choice import Candidate, Choice
from kirotrio.accounts.credential import ApiKey, Credential, Oidc, Social
from kirotrio.accounts.keeping import keep_sign_in
from kirotrio.accounts.lending import Lending
from kirotrio.accounts.members import Member
from kirotrio.accounts.opening import open_pool, open_shared
from kirotrio.accounts.pool import Pool
from kirotrio.accounts.records import record_of
from kirotrio.accounts.shared import Shared
from kirotrio.accounts.sources.places import Places
from kirotrio.accounts.usage_book import keep_known
from kirotrio.accounts.wish import Wish
from kirotrio.config.settings import AccountSettings, Settings, SimulatorSettings, StoreSettings
from kirotrio.conversation.request import Conversation, Limits, Text, ThinkingSetting, Turn
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.kiro.http_answer import HttpAnswer
from kirotrio.relay.answer import Answer
from kirotrio.relay.request import AnswerRequest, Mode, Relay
from kirotrio.simulator import Account, Kind, Simulator, Subscription, identity_center_account
from kirotrio.simulator.answers import Call, Ending, Reply, Step, Stream
from kirotrio.store import accounts as rows
from kirotrio.store.request_records import RecordWriter, RequestRecord, recent
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.api.messages import AnthropicAnswer

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
MODEL = "claude-sonnet-4.5"
AHEAD = 300.0
LIVES = {"social": 1 * HOUR, "builder": 1 * HOUR, "company": 8 * HOUR}
"""Of access tokens, in seconds; `key` has none that ends."""
NAMES = (*LIVES, "key")
CONCURRENT, PER_MINUTE = 3, 20
SESSIONS = 6
LOOK = 60.0
"""Seconds between two looks of the application's tasks: a week of looks every two seconds would only cost time."""

_asking: ContextVar[Trace | None] = ContextVar("asking", default=None)


@frozen
class Asked:
    """One generation that the service was asked for."""

    account: str
    at: float
    status: int


@define
class Trace:
    """What became of one request. `failed` are the accounts that could not even get a token for it."""

    session: str
    began_at: float
    asked: list[Asked] = field(factory=list)
    picks: list[tuple[str, ...]] = field(factory=list)
    """Which accounts could serve, each time that one was chosen."""
    record: RequestRecord | None = None
    left: bool = False


@define(eq=False)
class Week:
    """The world. `wrong` are the broken promises, each a sentence; `seconds` are counted from its beginning.

    `trouble` names what the service as a whole has at present: `capacity`, `sign-in`; `away`: the database's.
    """

    data_dir: Path
    estimator: TokenEstimator
    chance: random.Random
    wrong: list[str] = field(factory=list)
    log: RecordingLog = field(factory=RecordingLog)
    traces: list[Trace] = field(factory=list)
    refreshes: dict[str, list[float]] = field(factory=lambda: defaultdict(list))
    """By account, when its tokens were rotated."""
    refusals: list[tuple[str, float]] = field(factory=list)
    """Refreshes that the service refused for good: why and when."""
    failed_calls: int = 0
    """Refreshes that met a service that was down."""
    running: dict[str, int] = field(factory=lambda: defaultdict(int))
    homes: dict[str, str] = field(factory=dict)
    moves: list[tuple[str, str, str]] = field(factory=list)
    away: bool = False
    """The database."""
    settings: Settings = field(init=False)
    simulator: Simulator = field(init=False)
    gateway: Gateway | None = None
    gateways: int = 0
    over: bool = False
    """No request is begun any more, and no gateway."""
    done: trio.Event = field(factory=trio.Event)
    _begun: int = 0
    _opened: trio.Event = field(factory=trio.Event)
    _under_way: int = 0

    def __attrs_post_init__(self) -> None:
        self.settings = Settings(
            accounts=AccountSettings(
                refresh_ahead=AHEAD, max_concurrent=CONCURRENT, per_minute=PER_MINUTE, usage_every=1800.0
            ),
            store=StoreSettings(key_source="file", look_every=LOOK),
        )
        self.simulator = Simulator(
            SimulatorSettings(events=1),
            accounts=[
                Account("social", refresh_token=_secret("aor", "social"), user_id="u-social", plan="pro"),
                Account(
                    "builder",
                    Kind.BUILDER_ID,
                    refresh_token=_secret("aor", "builder"),
                    client_id="builder-client",
                    client_secret="builder-secret",
                    plan="pro",
                ),
                identity_center_account(
                    "company",
                    refresh_token=_secret("aor", "company"),
                    client_id="company-client",
                    client_secret="company-secret",
                ),
                Account("key", Kind.API_KEY, api_key="ksk_" + "0123456789abcdef" * 3, plan="pro"),
            ],
            clock=trio.current_time,
            wall=wall_clock,
        )

    # The person

    def sign_in(self, shared: Shared) -> None:
        """All four accounts, as a person puts them in."""
        for name in NAMES:
            record = record_of(name, self._credential(name), created_at=wall_clock())
            shared.database.writing(lambda connection, record=record: rows.add(connection, shared.sealer, record))

    def sign_in_again(self, name: str) -> None:
        """Under a new registration, as `kirotrio login --again` does."""
        account, shared = self.account(name), self.running_gateway.shared
        account.client_id, account.client_secret = self.simulator.book.register_client()
        self.simulator.book.expires_in = int(LIVES[name])
        grant = self.simulator.book.grant(account)
        account.refresh_token = grant.refresh_token
        credential = self._credential(name)
        assert isinstance(credential, Oidc)
        credential = attrs.evolve(
            credential, access_token=grant.access_token, expires_at=wall_clock() + grant.expires_in
        )
        record = record_of(name, credential, created_at=wall_clock())
        shared.database.writing(lambda connection: keep_sign_in(connection, shared.sealer, record, again=name))
        self.refreshes[name].append(trio.current_time())

    def enable(self, name: str) -> None:
        """As `kirotrio accounts enable` does."""
        shared = self.running_gateway.shared
        account_id = self.member(name).key
        shared.database.writing(lambda connection: rows.clear_mark(connection, account_id))

    def _credential(self, name: str) -> Credential:
        account = self.account(name)
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

    def used_up(self, name: str, resets_in: float) -> None:
        self.account(name).subscription = Subscription(limit=100.0, used=100.0, resets_at=wall_clock() + resets_in)

    # The gateway

    @property
    def running_gateway(self) -> Gateway:
        assert self.gateway is not None, "no gateway runs"
        return self.gateway

    @property
    def pool(self) -> Pool:
        return self.running_gateway.pool

    def member(self, name: str) -> Member:
        return next(member for member in self.pool.present() if member.name == name)

    async def serve(self) -> None:
        """Gateways, one after another, until cancelled."""
        while not self.over:
            async with self._one_gateway():
                self._opened.set()
                await self.running_gateway.stop.wait()
                self._opened = trio.Event()
                while self._under_way:  # noqa: ASYNC110 - a drain: those under way come to their end
                    await trio.sleep(1.0)
        self.done.set()

    @asynccontextmanager
    async def _one_gateway(self) -> AsyncIterator[None]:
        shared = open_shared(self.settings, self.data_dir)
        if not self.gateways:
            self.sign_in(shared)
        self.gateways += 1
        self.homes.clear()

        @event.listens_for(shared.database.engine, "begin")
        def begin(_: Any) -> None:
            if self.away:
                raise sqlite3.OperationalError("the disk is away")

        upstream = Upstream(self)
        try:
            async with trio.open_nursery() as own:
                places = Places(self.data_dir / "home")
                pool = open_pool(self.settings, upstream, self.log, own, shared, places, now=wall_clock)
                pool.choice = WatchedChoice(self)
                await pool.look()
                records = RecordWriter(shared.database, self.settings, self.log, wall_clock)
                relay = Relay(
                    self.settings,
                    upstream,  # type: ignore[arg-type]
                    Lending(pool),
                    pool.models,
                    self.estimator,
                    self.log,
                    self._recording(records),
                )
                self.gateway = Gateway(shared, pool, relay, records, own)
                own.start_soon(upkeep.keep_in_step, pool)
                own.start_soon(upkeep.refresh_ahead, pool)
                own.start_soon(keep_known, pool.accounts, pool.usage, pool.models, self.log)
                own.start_soon(records.run)
                yield
                own.cancel_scope.cancel()
            self._check_nothing_is_left(self.running_gateway)
        finally:
            self.gateway = None
            shared.database.close()

    def _recording(self, records: RecordWriter) -> Callable[[RequestRecord], None]:
        def note(record: RequestRecord) -> None:
            trace = _asking.get()
            assert trace is not None
            trace.record = record
            records.put(record)

        return note

    async def restart(self) -> None:
        self.running_gateway.stop.set()
        await self._opened.wait()

    # The users

    async def use(self, session: str, every: float) -> None:
        """One session's requests, about every so many seconds, until cancelled."""
        chance = random.Random(f"{session} {self.chance.random()}")
        while not self.over:
            await trio.sleep(chance.expovariate(1 / every))
            await self.ask(session, chance)

    async def burst(self, session: str, requests: int) -> None:
        """Subagents that are sent off together."""
        async with trio.open_nursery() as nursery:
            for _ in range(requests):
                nursery.start_soon(self.ask, session, self.chance)

    async def ask(self, session: str, chance: random.Random) -> Trace:
        """One request, to its end; some clients leave in the middle."""
        while not self._opened.is_set():
            await self._opened.wait()
        self._begun += 1
        self._under_way += 1
        trace = Trace(session, trio.current_time())
        _asking.set(trace)
        self.traces.append(trace)
        seconds = chance.uniform(1, 20)
        conversation = Conversation(
            model=MODEL,
            turns=(Turn("user", (Text(f"Say hi to {session} [[head_ms={seconds * 1000:.0f}]]"),), "messages.0"),),
            thinking=ThinkingSetting(enabled=False),
            limits=Limits(max_tokens=64000),
        )
        request_id = f"req_{self._begun}"
        mode = chance.choice((Mode.LIVE, Mode.BUFFERED, Mode.JSON))
        request = AnswerRequest(conversation, mode, request_id, Wish(session=session, model=MODEL))
        answer = Answer(self.running_gateway.relay, request, AnthropicAnswer(MODEL, request_id, request_id))
        try:
            with trio.move_on_after(seconds / 2 if chance.random() < 0.05 else float("inf")) as patience:
                await answer.run(RecordingSink())
            trace.left = patience.cancelled_caught
            self._check_answer(trace)
        finally:
            self._under_way -= 1
        return trace

    # What has to hold

    def _complain(self, sentence: str) -> None:
        self.wrong.append(f"{trio.current_time() / DAY:.3f} d: {sentence}")

    def note_asked(self, name: str) -> None:
        """The service is asked to generate, right now."""
        pool, now = self.pool, wall_clock()
        member = self.member(name)
        cooldown = pool.cooldowns.against(member.key, MODEL, now)
        if cooldown is not None:
            self._complain(f"{name} was asked in its pause: {cooldown.blame.value}, begun {now - cooldown.began_at} s ago")
        if not member.enabled:
            self._complain(f"{name} was asked while it was switched off")
        self.running[name] += 1
        if self.running[name] > CONCURRENT:
            self._complain(f"{name} has {self.running[name]} requests at one time")

    def note_answered(self, name: str, status: int, at: float) -> None:
        trace = _asking.get()
        if trace is not None:
            trace.asked.append(Asked(name, at, status))

    def note_refresh(self, name: str, status: int, said: str) -> None:
        now = trio.current_time()
        if status == 200:
            if self.refreshes[name] and (life := now - self.refreshes[name][-1]) < LIVES[name] - 1.2 * AHEAD:
                self._complain(f"{name} was refreshed after {life:.0f} seconds")
            self.refreshes[name].append(now)
        elif status in (400, 401):
            self.refusals.append((said, now))
        else:
            self.failed_calls += 1

    def _check_answer(self, trace: Trace) -> None:
        record = trace.record
        if record is None:
            return self._complain("a request has no record")
        if trace.left:
            return None
        if record.error:
            return self._check_refusal(trace, record)
        if trace.asked[-1].account != record.account:
            self._complain(f"{record.account} is said to have answered, and {trace.asked[-1].account} did")
        home = self.homes.get(trace.session)
        if home not in (None, record.account):
            self.moves.append((trace.session, str(home), record.account))
        self.homes[trace.session] = record.account
        return None

    def _check_refusal(self, trace: Trace, record: RequestRecord) -> None:
        """It says why, and nobody else could have answered."""
        tried = {asked.account for asked in trace.asked}
        if record.outcome == "upstream_overloaded" and any(asked.status in (429, 500) for asked in trace.asked):
            return  # the service's own, whoever asks
        now = wall_clock()
        idle = [
            member.name
            for member in self.pool.present()
            if member.enabled
            and member.name not in tried
            and self.pool.cooldowns.against(member.key, MODEL, now) is None
            and self._has_token(member)
        ]
        if idle and record.attempts < 3:
            self._complain(f"{', '.join(idle)} could have answered, and the client was told: {record.error}")
        if not any(name in record.error for name in NAMES):
            self._complain(f"a client was told nothing of the accounts: {record.error}")

    def _has_token(self, member: Member) -> bool:
        expires_at = member.account.expires_at
        return member.name == "key" or (expires_at is not None and expires_at > wall_clock() + 60)

    def _check_nothing_is_left(self, gateway: Gateway) -> None:
        left = {member.name: member.gate.busy + member.gate.waiting for member in gateway.pool.present()}
        if any(left.values()):
            self._complain(f"places were not given back: {left}")
        if len(gateway.relay.streams):
            self._complain("answers are still registered")
        if any(self.running.values()):
            self._complain(f"calls of the service are still open: {dict(self.running)}")
        if len(gateway.records) or gateway.records.dropped:
            self._complain(f"{gateway.records.dropped} records were lost")
        if gateway.own.child_tasks:
            self._complain(f"tasks are left: {gateway.own.child_tasks}")


@define(eq=False)
class Gateway:
    """The long-lived parts of one run of the program."""

    shared: Shared
    pool: Pool
    relay: Relay
    records: RecordWriter
    own: trio.Nursery
    stop: trio.Event = field(factory=trio.Event)


class WatchedChoice(Choice):
    """Notes who could serve, and sees that a session stays while its account can serve it."""

    def __init__(self, week: Week) -> None:
        super().__init__(week.settings.accounts.strategy)
        self._week = week

    def pick(self, candidates: Any, session: str) -> list[Candidate]:
        candidates = list(candidates)
        order = super().pick(candidates, session)
        names = tuple(candidate.name for candidate in candidates)
        if trace := _asking.get():
            trace.picks.append(names)
        home = self._week.homes.get(session)
        if home in names and order[0].name != home:
            self._week._complain(f"{session} was to leave {home}, which could serve, for {order[0].name}")
        return order


# The way to the service


@define
class Upstream:
    """What a `Transport` does, in memory."""

    week: Week

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        deadline: float,
        proxy_url: str | None = None,
    ) -> HttpAnswer:
        call = _call(method, url, headers or {}, body)
        await trio.sleep(0.2)
        owner = self._owner(call)
        self.week.simulator.book.expires_in = int(LIVES.get(owner, HOUR))
        reply = self.week.simulator.answer(call)
        assert isinstance(reply, Reply), "a plain call has a plain answer"
        if owner:
            said = orjson.loads(reply.body).get("error", "") if reply.status != 200 else ""
            self.week.note_refresh(owner, reply.status, said)
        await trio.sleep(0.2)
        return HttpAnswer(reply.status, dict(reply.headers), reply.body)

    def _owner(self, call: Call) -> str:
        """Whose refresh this is; "" for other calls."""
        if call.path == "/refreshToken":
            return "social"
        if call.path == "/token":
            return "builder" if orjson.loads(call.body)["clientId"] == "builder-client" else "company"
        return ""

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        proxy_url: str | None = None,
    ) -> UpstreamStream:
        return UpstreamStream(self.week, _call(method, url, headers, body))


class UpstreamStream:
    """What `client.UpstreamStream` does, in memory."""

    def __init__(self, week: Week, call: Call) -> None:
        self._week = week
        self._call = call
        self._pieces: Iterator[Step | Ending] = iter(())
        self.status = 0
        self.headers: Mapping[str, str] = {}

    async def __aenter__(self) -> Self:
        bearer = self._call.headers["authorization"].partition(" ")[2]
        account = self._week.simulator.book.identify(bearer)[1]
        assert account is not None, "a token that nobody gave out"
        self._account = account.name
        self._week.note_asked(account.name)
        try:
            answer = self._week.simulator.answer(self._call)
            began_at = trio.current_time()
            if isinstance(answer, Stream):
                await trio.sleep(answer.head_delay or 0.0)
                self.status, self._pieces = 200, answer.steps
            else:
                await trio.sleep(answer.delay + 0.2)
                self.status, self._pieces = answer.status, iter([Step(0.0, answer.body, 0), Ending.FINISH])
            self.headers = {**answer.headers, "x-amzn-requestid": self._call.request_id}
            self._week.note_answered(account.name, self.status, began_at)
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        self._week.running[self._account] -= 1

    async def receive(self) -> bytes:
        await trio.lowlevel.checkpoint()
        piece = next(self._pieces)
        return piece.frames if isinstance(piece, Step) else b""

    async def read(self, ceiling: int) -> bytes:
        return await self.receive()


def _call(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Call:
    parts = urlsplit(url)
    lower = {name.lower(): value for name, value in headers.items()}
    return Call(method, parts.path, dict(parse_qsl(parts.query)), lower, body or b"")


def _secret(prefix: str, name: str) -> str:
    return f"{prefix}-{name}-".ljust(140, "x")


# Time and chance


@pytest.fixture
def mocked_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wall clock goes with Trio's, and threads are done without."""
    real = time.time

    def now() -> float:
        return wall_clock() if trio.lowlevel.in_trio_run() else real()

    async def in_place(work: Callable[..., Any], *arguments: Any, **_: Any) -> Any:
        await trio.lowlevel.checkpoint()
        result = work(*arguments)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return result

    monkeypatch.setattr(time, "time", now)
    monkeypatch.setattr(trio.to_thread, "run_sync", in_place)
    monkeypatch.setattr(upkeep, "_LOOK_EVERY", LOOK)


async def run_week(week: Week, length: float, *happenings: Callable[[Week], Awaitable[None]], every: float) -> None:
    """All of it: the gateway, its users, and what happens beside. `every`: seconds between a session's requests."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(week.serve)
        for number in range(SESSIONS):
            nursery.start_soon(week.use, f"session-{number}", every)
        for happening in happenings:
            nursery.start_soon(happening, week)
        await trio.sleep_until(length)
        week.over = True
        if week.gateway is not None:
            week.gateway.stop.set()
        await week.done.wait()
        nursery.cancel_scope.cancel()


def kept_records(week: Week) -> list[RequestRecord]:
    """What the database holds of the requests."""
    shared = open_shared(week.settings, week.data_dir)
    try:
        return shared.database.reading(lambda connection: recent(connection, 1_000_000))
    finally:
        shared.database.close()
