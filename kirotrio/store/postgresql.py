"""A connection to PostgreSQL that waits for nothing longer than its deadline, and several statements in one journey.

The server ends a statement that takes too long, but a server that hangs, or a network that swallows packets, ends
nothing: so the client's side looks at the clock as well.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping
from typing import Any

import psycopg
from sqlalchemy import Connection

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
    """`psycopg.connect`, where connecting and each statement take `deadline` seconds at most. Raises psycopg.Error.

    The driver begins nothing by itself: see `engines`. Nor does it leave prepared statements on the server, where a
    pooler may give the next transaction another connection.
    """
    options["connect_timeout"] = max(_LEAST_CONNECT, round(deadline))
    options["autocommit"] = True
    options["prepare_threshold"] = None
    connection = _Bounded.connect(*arguments, **options)
    connection.deadline = deadline
    return connection


def together(connection: Connection, statements: str, values: Mapping[str, Any]) -> list[list[tuple[Any, ...]]]:
    """Run statements, with `;` between them, in one journey to the server and back; the rows of each, where all have
    rows, and none where the first has none.

    Each sees what was committed before itself began, as if it came alone. Raises psycopg.Error.
    """
    driver: Any = connection.connection.driver_connection
    try:
        # The server takes parameters with a single statement only, so the driver writes these into the text.
        cursor = psycopg.ClientCursor(driver).execute(statements, values)
    except psycopg.Error as error:
        if driver.closed:
            connection.invalidate(error)
        raise
    if cursor.pgresult is None or not cursor.pgresult.nfields:
        return []
    found = [cursor.fetchall()]
    while cursor.nextset():
        found.append(cursor.fetchall())
    return found
