"""For whom the gateway works at present: for all, for its operators alone, or, while somebody mends something, nobody.

The mode lies in the store, so that it holds across gateways and restarts. Requests ask what this process knows, which
is looked up again every `store.look_every` seconds; nothing is read for a request.
"""

from __future__ import annotations

import enum
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import trio
from attrs import field

from kirotrio.access.audit import Actor
from kirotrio.classes import define, frozen
from kirotrio.errors import PermissionDenied, SettingsError, StoreUnavailable, UnderMaintenance
from kirotrio.telemetry.log import Log

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kirotrio.store.database import Database

LONGEST_MESSAGE: Final = 500
"""Characters."""
_RETRY_AFTER: Final = 60.0
_MAINTENANCE: Final = "the gateway is under maintenance; try again later"
_SELF_USE: Final = "the gateway is in self-use: at present members' keys are not let in"
_UNREADABLE: Final = "the gateway's mode cannot be read; its operator sets it with `kirotrio mode`"


class ServiceMode(enum.Enum):
    OPEN = "open"
    SELF_USE = "self-use"
    """The gateway's own key and those of operators are let in."""
    MAINTENANCE = "maintenance"
    """No API is answered; what runs already goes on."""


@frozen
class Standing:
    """The mode, since when (epoch seconds, 0.0: ever), and what its operator says to those who are refused, "" for the
    ordinary sentence. `operators`: their users' ids, as far as the mode asks for them."""

    mode: ServiceMode = ServiceMode.OPEN
    message: str = ""
    since: float = 0.0
    operators: frozenset[str] = frozenset()

    @property
    def is_maintained(self) -> bool:
        return self.mode is ServiceMode.MAINTENANCE

    def check_open(self) -> None:
        """Raises UnderMaintenance where no API is answered."""
        if self.mode is ServiceMode.MAINTENANCE:
            raise UnderMaintenance(self.message or _MAINTENANCE, retry_after=_RETRY_AFTER)

    def check_owner(self, owner: str) -> None:
        """Raises PermissionDenied for a key of somebody who is not let in. `owner`: the user's id, "" for a key of the
        gateway's own."""
        if self.mode is ServiceMode.SELF_USE and owner and owner not in self.operators:
            raise PermissionDenied(f"{_SELF_USE} ({self.message})" if self.message else _SELF_USE)


def read_message(text: str) -> str:
    """What an operator says, on one line. Raises SettingsError."""
    message = " ".join(text.split())
    if not message.isprintable():
        raise SettingsError("the message has characters in it that cannot be shown; write plain text")
    if len(message) > LONGEST_MESSAGE:
        raise SettingsError(f"the message has {len(message)} characters; {LONGEST_MESSAGE} are allowed")
    return message


def encoded(standing: Standing) -> str:
    return json.dumps({"mode": standing.mode.value, "message": standing.message, "since": standing.since})


def decoded(text: str, operators: frozenset[str] = frozenset()) -> Standing:
    """What `encoded` made. What cannot be read lets nobody in: it was not put there to open the gateway."""
    if not text:
        return Standing()
    try:
        read = json.loads(text)
        return Standing(ServiceMode(read["mode"]), str(read["message"]), float(read["since"]), operators)
    except (ValueError, TypeError, KeyError):
        return Standing(ServiceMode.MAINTENANCE, _UNREADABLE)


def standing(connection: Connection) -> Standing:
    """What the store says."""
    from kirotrio.store import mode_rows

    read = decoded(mode_rows.mode_text(connection))
    if read.mode is not ServiceMode.SELF_USE:
        return read
    return Standing(read.mode, read.message, read.since, mode_rows.operators(connection))


def change(connection: Connection, actor: Actor, mode: ServiceMode, message: str, now: float) -> Standing:
    """Set the mode, and note who did; the same mode with the same message again is no change."""
    from kirotrio.store import audit_rows, mode_rows

    before = standing(connection)
    if (before.mode, before.message) == (mode, message):
        return before
    mode_rows.put_mode_text(connection, encoded(Standing(mode, message, now)))
    detail = {"from": before.mode.value, "message": message}
    audit_rows.note(connection, actor.entry("mode.change", mode.value, now, detail))
    return standing(connection)


@define(eq=False)
class Modes:
    """The mode as this process knows it. Without a database it is open, and stays so."""

    database: Database | None = None
    clock: Callable[[], float] = time.time
    now: Standing = field(factory=Standing, init=False)

    async def begin(self, text: str | None) -> None:
        """Before the first request. `text`: what lies in the store, None where that was not read yet.

        Raises StoreUnavailable.
        """
        if text != "":
            await self.look()

    async def look(self) -> None:
        """Raises StoreUnavailable."""
        if self.database is not None:
            self.now = await self.database.read(standing)

    async def change(self, actor: Actor, mode: ServiceMode, message: str = "") -> Standing:
        """Set it for all gateways on this store; here it holds at once, elsewhere with the next look.

        Raises SettingsError for a message that cannot be shown, and StoreUnavailable.
        """
        said, at = read_message(message), self.clock()
        if self.database is None:
            raise StoreUnavailable("there is no store that the mode could be kept in")
        self.now = await self.database.write(lambda connection: change(connection, actor, mode, said, at))
        return self.now

    async def follow(self, every: float, log: Log) -> None:
        """Look every so many seconds, until cancelled. Where the store is away, what is known goes on to hold."""
        while True:
            await trio.sleep(every)
            before = self.now
            try:
                await self.look()
            except StoreUnavailable:
                continue  # whoever keeps accounts in step says so
            except Exception as error:  # a look in the background never ends the process
                log.error("looking at the mode failed", exc_info=error)
                continue
            if (self.now.mode, self.now.message) != (before.mode, before.message):
                log.info("the mode was changed", mode=self.now.mode.value, message=self.now.message)
