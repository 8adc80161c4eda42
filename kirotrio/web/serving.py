"""The life of one gateway process: start, serve, drain, stop. The application's own tasks are listed here."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Mapping, Sequence, Sized
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from attrs import field

from kirotrio.access.book import Book
from kirotrio.access.counting import Counting
from kirotrio.access.grant import Keyring
from kirotrio.access.modes import Modes
from kirotrio.access.short_keys import ShortKeys
from kirotrio.access.tidying import keep_tidy
from kirotrio.accounts.lending.lender import Lending
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.lending.upkeep import finish, keep_in_step, refresh_ahead
from kirotrio.accounts.opening import open_pool, open_shared
from kirotrio.accounts.sources.places import Places
from kirotrio.accounts.worth.usage_book import keep_known
from kirotrio.classes import define, frozen
from kirotrio.config.settings import Settings
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.errors import Overloaded
from kirotrio.kiro.client import Transport
from kirotrio.relay.learned import keep_corrections, load_corrections
from kirotrio.relay.request import Relay
from kirotrio.store.holders import new_holder
from kirotrio.store.recordings import FOLDER
from kirotrio.store.request_records import RecordWriter
from kirotrio.telemetry.log import Log
from kirotrio.web.front import GatewayFront
from kirotrio.web.gateway import Gateway
from kirotrio.web.live import answer_colleagues
from kirotrio.web.server import Listener, Server, base_url, open_listeners
from kirotrio.web.tracing import open_traces

if TYPE_CHECKING:
    from kirotrio.accounts.shared import Shared
    from kirotrio.web.several.several import Several
    from kirotrio.web.workers.seat import Seat


_APART = 2.0
"""Seconds between two workers' looks at what accounts are worth."""


@define
class Stop:
    """How a gateway is asked to stop: once to drain, twice to end at once.

    At once means: but for a rotated token that is being saved, which has its own deadline (ARCHITECTURE, rule 4).
    """

    asked: trio.Event = field(factory=trio.Event)
    at_once: trio.Event = field(factory=trio.Event)

    def ask(self) -> None:
        if self.asked.is_set():
            self.at_once.set()
        self.asked.set()


@frozen
class Surroundings:
    """What a gateway is told of the world beside its settings, so that it looks at nothing by itself.

    `keys`: key id to gateway key. `data_dir`: where our own files go. `places`: where other programs keep a sign-in.
    `origins`: where each setting came from, by its name.
    """

    keys: Mapping[str, str] = field(repr=False)
    data_dir: Path
    places: Places
    origins: Mapping[str, str] = field(factory=dict)


@frozen
class Serving:
    """A gateway that accepts connections."""

    base_url: str
    gateway: Gateway
    server: Server


async def serve_gateway(
    settings: Settings,
    surroundings: Surroundings,
    log: Log,
    *,
    stop: Stop | None = None,
    listen: Callable[[Sized], Sequence[Listener]] | None = None,
    seat: Seat | None = None,
    task_status: trio.TaskStatus[Serving] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until asked to stop, then drain.

    `task_status` gets a `Serving` once connections are accepted. Raises SettingsError where it cannot listen, or the
    store cannot be used, and StoreUnavailable where that does not answer.
    Cancellation ends every answer at once and closes every connection. `listen` is given the connections and gives
    what to accept from in place of the settings' address. `seat`: this is one worker of several.
    """
    stop = stop or Stop()
    folder = surroundings.data_dir
    shared = await trio.to_thread.run_sync(open_shared, settings, folder)
    shared.database.tell = lambda trouble: log.warning("a step of the database failed", error=trouble)
    pool: Pool | None = None
    try:
        async with Transport(settings.upstream, settings.deadlines) as transport, trio.open_nursery() as own_tasks:
            if seat is not None:
                await own_tasks.start(seat.run)
                shared.holder = new_holder(family=seat.desk)
            several = None if shared.database.is_sqlite else await _join_others(settings, shared, log, own_tasks)
            pool = open_pool(
                settings, transport, log, own_tasks, shared, surroundings.places, colleagues=several or seat
            )
            await pool.look()
            estimator = TokenEstimator(
                corrections=await trio.to_thread.run_sync(load_corrections, folder),
                tell=lambda problem: log.error("tokens are estimated from characters", problem=problem),
            )
            records = RecordWriter(shared.database, settings, log)
            traces = open_traces(settings, log, 1 if seat is None else seat.worker)
            relay = Relay(settings, transport, Lending(pool), pool.models, estimator, log, records.put, traces=traces)
            modes = Modes(shared.database)
            await modes.begin(shared.mode)
            counting = Counting(shared.database, log, settings.deadlines.store)
            book = Book(shared.database, log, settings.store.look_every, changed=counting.forget_refusals)
            short = ShortKeys(shared.database, shared.sealer, settings.users)
            keyring = Keyring(surroundings.keys, book, short)
            gateway = Gateway(settings, relay, pool, keyring, log, seat, several, modes=modes, counting=counting)
            gateway.origins = surroundings.origins
            gateway.recordings = folder / FOLDER
            if settings.recorder.requests:
                from kirotrio.web.recording import open_recording

                recording = gateway.recording = open_recording(settings, folder, surroundings.keys.values(), log)
                own_tasks.start_soon(recording.recorder.run)
            server = Server(GatewayFront(gateway), log, settings.deadlines.client_write)
            listeners: Sequence[Listener] = (
                await open_listeners(settings.server.host, settings.server.port)
                if listen is None
                else listen(server.connections)
            )
            gateway.name = f"{socket.gethostname()}:{listeners[0].socket.getsockname()[1]}"
            answer_colleagues(gateway)
            for name, value in (
                ("live", relay.streams.__len__),
                ("connections", server.connections.__len__),
                ("records_dropped", lambda: records.dropped),
            ):
                relay.metrics.watch(name, value)
            # Application-wide tasks (ARCHITECTURE, rule 1) are these, and the refreshes that accounts run.
            own_tasks.start_soon(transport.run)
            own_tasks.start_soon(keep_in_step, pool)
            own_tasks.start_soon(refresh_ahead, pool)
            own_tasks.start_soon(_keep_known, pool, log, 1 if seat is None else seat.worker)
            if seat is None or seat.worker == 1:  # of one file; the others learn for as long as they run
                own_tasks.start_soon(keep_corrections, folder, estimator, log)
            own_tasks.start_soon(records.run)
            if traces is not None:
                relay.metrics.watch("traces_dropped", lambda: traces.dropped)
                own_tasks.start_soon(traces.run)
            own_tasks.start_soon(modes.follow, settings.store.look_every, log)
            if seat is None or seat.worker == 1:
                own_tasks.start_soon(keep_tidy, shared.database, settings.users)
            own_tasks.start_soon(book.keep)
            own_tasks.start_soon(counting.keep)
            await own_tasks.start(gateway.bringing.run)
            async with trio.open_nursery() as connections:
                await _serve_until_stopped(server, listeners, connections, gateway, stop, task_status)
            own_tasks.cancel_scope.cancel()
    finally:
        if pool is not None:
            await finish(pool)
        shared.database.close()


async def _join_others(settings: Settings, shared: Shared, log: Log, own_tasks: trio.Nursery) -> Several:
    """Be one of several gateways, as any on a PostgreSQL may be. Workers of one are gateways like others then."""
    from kirotrio.web.several.several import Several

    several = await trio.to_thread.run_sync(Several, settings, shared, log)  # it loads what only they need
    await own_tasks.start(several.run)
    return several


async def _keep_known(pool: Pool, log: Log, worker: int) -> None:
    """One after another: what the first worker asked, the next ones find in the store."""
    await trio.sleep(_APART * (worker - 1))
    await keep_known(pool.accounts, pool.usage, pool.models, log)


async def _serve_until_stopped(
    server: Server,
    listeners: Sequence[Listener],
    connections: trio.Nursery,
    gateway: Gateway,
    stop: Stop,
    task_status: trio.TaskStatus[Serving],
) -> None:
    async with trio.open_nursery() as accepting:
        accepting.start_soon(server.serve, listeners, connections)
        task_status.started(Serving(base_url(listeners[0].socket.getsockname()), gateway, server))
        await stop.asked.wait()
        gateway.draining.set()
        accepting.cancel_scope.cancel()
    async with trio.open_nursery() as draining:
        draining.start_soon(_drain, server, gateway, connections, draining)
        await stop.at_once.wait()
        server.hurry(0.0)
        gateway.relay.streams.cut = True
        connections.cancel_scope.cancel()
        draining.cancel_scope.cancel()


async def _drain(server: Server, gateway: Gateway, connections: trio.Nursery, draining: trio.Nursery) -> None:
    """Let answers finish until the deadline, end the rest with a legal error, then close what is left."""
    streams, patience = gateway.relay.streams, gateway.settings.server.drain
    last_writes = gateway.settings.deadlines.stop_writes
    gateway.log.info("stopping", answers=len(streams), patience_seconds=patience)
    server.hurry(last_writes)
    # Requests, not only answers: one whose body is still coming in has been taken, and is going to be an answer.
    with trio.move_on_after(patience):
        await gateway.requests.wait_empty()
    if len(streams):
        gateway.log.warning("ending answers that are still running", answers=len(streams))
    streams.close(Overloaded("the gateway is stopping; ask again in a moment", retry_after=5.0))
    with trio.move_on_after(last_writes):
        await gateway.requests.wait_empty()
        # Until here a kept connection could be told that we are stopping; now all of them are closed.
        await server.close_idle()
        await server.connections.wait_empty()
    connections.cancel_scope.cancel()
    draining.cancel_scope.cancel()


async def watch_signals(stop: Stop) -> None:
    """Turn signals into requests to stop, until cancelled. From the third on they do what they do by default."""
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            if stop.at_once.is_set():
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            stop.ask()
