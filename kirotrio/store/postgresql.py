"""A connection to PostgreSQL that waits for nothing longer than its deadline.

The server ends a statement that takes too long, but a server that hangs, or a network that swallows packets, ends
nothing: so the client's side looks at the clock as well.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import psycopg

_MARGIN = 1.0
"""Seconds that the server gets to say by itself that the deadline has passed."""
_LEAST_CONNECT = 2
"""Seconds; libpq takes no fewer."""


class _Bounded(psycopg.Connection[Any]):
    """The driver waits in one place, by steps, which it goes on with ten times a second at least."""

    deadline = 0.0
    """Seconds for each statement; 0: any number."""

    def wait(self, gen: Generator[Any, Any, Any], *arguments: Any, **options: Any) -> Any:
        bounded = self._until(gen, time.monotonic() + self.deadline + _MARGIN) if self.deadline else gen
        return super().wait(bounded, *arguments, **options)

    def _until(self, steps: Generator[Any, Any, Any], ends: float) -> Generator[Any, Any, Any]:
        """The same steps, as long as there is time; what is in the middle then cannot be used any more."""
        try:
            wanted = next(steps)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > ends:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"no word from the server for {self.deadline:g} seconds")
                wanted = steps.send(ready)
        except StopIteration as end:
            return end.value
        finally:
            steps.close()


def connect(deadline: float, *arguments: Any, **options: Any) -> psycopg.Connection[Any]:
    """`psycopg.connect`, where connecting and each statement take `deadline` seconds at most. Raises psycopg.Error."""
    options["connect_timeout"] = max(_LEAST_CONNECT, round(deadline))
    connection = _Bounded.connect(*arguments, **options)
    connection.deadline = deadline
    return connection
