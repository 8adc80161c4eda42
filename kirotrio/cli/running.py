"""What the verbs that keep running share: one Trio run, stopped by signals, whose failures are one error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from kirotrio.cli.collector import settle
from kirotrio.cli.signals import EarlySignals
from kirotrio.errors import KirotrioError
from kirotrio.web.serving import Stop, watch_signals

INTERRUPTED = 130


def run_until_stopped(
    serve: Callable[[Stop], Awaitable[None]],
    early: EarlySignals,
    watch: Callable[[Stop], Awaitable[None]] = watch_signals,
) -> int:
    """Run `serve` until it returns, which it does once `stop.asked` is set, by `watch`: Ctrl-C, SIGTERM.

    `early` has the signals that came while the verb was starting: after one of them nothing is begun. Returns the
    exit code: 0, or 130 where a second signal cut it short. Raises the KirotrioError that ended it, out of whatever
    groups it came in.
    """
    stop = Stop()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, stop)
            await trio.lowlevel.checkpoint()  # every task has run once, so from here on `stop` hears the signals
            settle()
            if not early.count:
                await serve(stop)
            nursery.cancel_scope.cancel()

    try:
        trio.run(main)
    except BaseExceptionGroup as group:
        ours, others = group.split(KirotrioError)
        if ours is not None and others is None:
            raise _first(ours) from None
        if group.split(KeyboardInterrupt)[1] is None:
            return INTERRUPTED
        raise
    return INTERRUPTED if stop.at_once.is_set() else 0


def _first(group: BaseExceptionGroup[KirotrioError]) -> KirotrioError:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, KirotrioError)  # noqa: S101 - the split above leaves nothing else
    return error
