"""What is over is removed now and then: sessions, failures that count no more, invitations, old lines of the audit log.

Light to import: a start waits for none of this.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio

from kirotrio.config.team import UserSettings
from kirotrio.errors import StoreUnavailable
from kirotrio.store.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

EVERY: Final = 3600.0
_FIRST = 600.0
"""Seconds after the start: by then nobody waits for it."""
_INVITATIONS_SHOWN = 30 * 86_400.0
"""Seconds that an invitation is shown after it has ended."""


async def keep_tidy(database: Database, settings: UserSettings, now: Callable[[], float] = time.time) -> None:
    """Until cancelled. A database that is away is tidied the next time."""
    await trio.sleep(_FIRST)
    while True:
        with contextlib.suppress(StoreUnavailable):  # whoever needs it says so
            await database.write(lambda connection: tidy(connection, settings, now()))
        await trio.sleep(EVERY)


def tidy(connection: Connection, settings: UserSettings, now: float) -> None:
    """Remove what is over at `now`."""
    from kirotrio.store import audit_rows, invitation_rows, sign_in_rows

    sign_in_rows.prune(connection, now, settings.session_idle)
    sign_in_rows.prune_throttles(connection, now)
    invitation_rows.prune(connection, now - _INVITATIONS_SHOWN)
    if settings.keep_audit:
        audit_rows.prune(connection, now - settings.keep_audit)
