"""One run of a piece of work at a time, shared by all who want it done."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable

import trio
from attrs import field

from kirotrio.classes import define
from kirotrio.errors import KirotrioError, Overloaded


@define
class _Flight:
    done: trio.Event = field(factory=trio.Event)
    landed: bool = False
    error: Exception | None = None


class SingleFlight:
    """Runs `work` in `nursery`, never twice at once; who comes while it runs waits for the same outcome.

    The work belongs to the application and not to the caller who happened to come first: a cancelled caller leaves
    at once, and the work goes on for the others. What must survive the end of the nursery, the work shields itself.
    """

    def __init__(self, nursery: trio.Nursery, work: Callable[[], Awaitable[None]]) -> None:
        self._nursery = nursery
        self._work = work
        self._flight: _Flight | None = None

    @property
    def in_flight(self) -> bool:
        return self._flight is not None

    async def __call__(self) -> None:
        """Wait for the run under way, or for a new one. Raises what it raises; Overloaded once the nursery ends.

        Cancellation ends the waiting alone.
        """
        flight = self._flight
        if flight is None:
            flight = _Flight()
            try:
                self._nursery.start_soon(self._run, flight)
            except RuntimeError as closed:
                raise Overloaded("kirotrio is stopping") from closed
            self._flight = flight
        await flight.done.wait()
        if isinstance(flight.error, KirotrioError):
            # Every waiter raises its own copy: one exception raised in many tasks would collect all their frames.
            raise copy.copy(flight.error) from flight.error
        if flight.error is not None:
            raise flight.error
        if not flight.landed:
            raise Overloaded("kirotrio is stopping")

    async def _run(self, flight: _Flight) -> None:
        try:
            await self._work()
            flight.landed = True
        except Exception as error:
            # Whoever waits gets it; in here it would end the application.
            flight.error = error
        finally:
            self._flight = None
            flight.done.set()
