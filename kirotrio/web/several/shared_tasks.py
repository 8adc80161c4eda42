"""Sign-ins and imports that run in one gateway, seen, answered and ended at the others on its database.

The gateway that runs one posts what it shows whenever that changes, sealed with the key to the secrets: the code that a
person enters, names and addresses of accounts. What a person answers elsewhere is passed to it, sealed as well. What a
sign-in itself holds (a device code, the verifier of a code) never leaves its gateway's memory. Where there are no other
gateways nothing is written.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson
import trio

from kirotrio.errors import SettingsError, StoreUnavailable
from kirotrio.store.database import Database
from kirotrio.store.sealer import SealBroken, Sealer, purpose_of
from kirotrio.telemetry.log import Log
from kirotrio.web.several.clerk import Clerk
from kirotrio.web.several.questions import Questions

if TYPE_CHECKING:
    from sqlalchemy import Connection

_PAUSE: Final = 2.0
"""Seconds between two tries to write, where the database is away."""
_ASKED: Final = "bringing"
_PASSED: Final = purpose_of("news", _ASKED)


class SharedTasks:
    """Those of one gateway process. All that reads or writes raises StoreUnavailable unless it says otherwise."""

    def __init__(self, database: Database, sealer: Sealer, clerk: Clerk, questions: Questions, log: Log) -> None:
        self._database = database
        self._sealer = sealer
        self._clerk = clerk
        self._questions = questions
        self._log = log
        self._changed: dict[str, Callable[[], Mapping[str, Any]]] = {}
        """What is not yet posted, by the name of its row."""
        self._posted: set[str] = set()
        self._forgotten: set[str] = set()
        self._arrived = trio.Event()
        self._writing = trio.Lock()

    # What runs here

    def answer_with(self, answer: Callable[[Sequence[str]], Awaitable[Any]]) -> None:
        """`answer`: called with what a person has said elsewhere to what runs here."""

        async def reply(sealed: str) -> Any:
            said = await answer(orjson.loads(await trio.to_thread.run_sync(self._opened, sealed, _PASSED)))
            await self.written()
            return said

        self._questions.answers[_ASKED] = reply

    def show(self, user_id: str, task_id: str, view: Callable[[], Mapping[str, Any]]) -> None:
        """What `view` gives has changed. Never waits."""
        self._changed[_name(user_id, task_id)] = view
        self.wake()

    def forget(self, user_id: str, task_id: str) -> None:
        """Never waits."""
        name = _name(user_id, task_id)
        self._changed.pop(name, None)
        if name in self._posted:
            self._forgotten.add(name)
            self.wake()

    def wake(self) -> None:
        """There is something to post, or somebody to see it."""
        self._arrived.set()

    async def written(self) -> None:
        """Return once others see what was shown; raises nothing where the database is away."""
        with contextlib.suppress(StoreUnavailable):
            await self._write()

    async def run(self) -> None:
        """Post until cancelled. What ran here is not seen any more then, as its gateway is gone."""
        away = False
        while True:
            await self._arrived.wait()
            self._arrived = trio.Event()
            try:
                await self._write()
            except StoreUnavailable as error:
                if not away:
                    self._log.warning("other gateways do not see how far sign-ins are", error=error.in_full)
                away = True
                await trio.sleep(_PAUSE)
            else:
                away = False

    async def _write(self) -> None:
        async with self._writing:
            changed = dict(self._changed) if self._clerk.others else {}
            forgotten = set(self._forgotten)
            if not changed and not forgotten:
                return
            plain = {name: orjson.dumps(view()) for name, view in changed.items()}
            for name in changed:
                del self._changed[name]
            try:
                await self._database.write(self._posting(plain, forgotten))
            except (StoreUnavailable, trio.Cancelled):  # the latter of a visitor that waited with us, and left
                self._changed = changed | self._changed
                self.wake()
                raise
            except SettingsError as error:  # nothing can be sealed here, so no sign-in would be kept either
                self._log.error("other gateways do not see how far sign-ins are", error=error.in_full)
            else:
                self._posted = (self._posted | set(plain)) - forgotten
                self._forgotten -= forgotten

    def _posting(self, plain: Mapping[str, bytes], forgotten: set[str]) -> Callable[[Connection], None]:
        def post(connection: Connection) -> None:
            from kirotrio.store import posted_rows as rows
            from kirotrio.store.gateway_rows import clock
            from kirotrio.store.revisions import begin_change

            begin_change(connection)
            for name, content in plain.items():
                sealed = self._sealed(connection, content, purpose_of("ledgers", name))
                rows.post(connection, name, f"{self._clerk.state.holder} {sealed}", clock(connection))
            rows.take_down(connection, forgotten)

        return post

    # What runs in the others

    async def of(self, user_id: str) -> list[dict[str, Any]]:
        """What all that this user has begun shows."""
        if not self._clerk.others:
            return []

        def read(connection: Connection) -> list[dict[str, Any]]:
            from kirotrio.store import posted_rows as rows

            found = [self._shown(connection, *row) for row in rows.read_all(connection, _prefix(user_id))]
            return [one[1] for one in found if one is not None]

        return await self._database.read(read)

    async def look(self, user_id: str, task_id: str) -> dict[str, Any] | None:
        """What it shows; None for one that is not known any more, as its gateway is gone, and for another user's."""
        found = await self._find(user_id, task_id)
        return None if found is None else found[1]

    async def pass_on(self, user_id: str, task_id: str, said: Sequence[str]) -> Any:
        """What its gateway answers to this, None as in `look`. Raises Overloaded where it does not answer."""
        found = await self._find(user_id, task_id)
        if found is None or found[0] not in self._clerk.others:
            return None

        def seal(connection: Connection) -> str:
            from kirotrio.store.revisions import begin_change

            begin_change(connection)
            return self._sealed(connection, orjson.dumps(said), _PASSED)

        return await self._questions.ask(_ASKED, await self._database.write(seal), [found[0]])

    async def _find(self, user_id: str, task_id: str) -> tuple[str, dict[str, Any]] | None:
        name = _name(user_id, task_id)

        def read(connection: Connection) -> tuple[str, dict[str, Any]] | None:
            from kirotrio.store import posted_rows as rows

            content = rows.read(connection, name)
            return None if content is None else self._shown(connection, name, content)

        return await self._database.read(read)

    def _shown(self, connection: Connection, name: str, content: str) -> tuple[str, dict[str, Any]] | None:
        """Who runs it and what it shows. What cannot be opened, since the key was changed, is not known."""
        from kirotrio.store.gateway_rows import alive, clock

        holder, _, sealed = content.partition(" ")
        try:
            view = orjson.loads(self._opened(sealed, purpose_of("ledgers", name)))
        except (SettingsError, SealBroken):
            return None
        if view["running"] and holder not in alive(connection, clock(connection)):
            return None
        return holder, view

    def _sealed(self, connection: Connection, plain: bytes, purpose: str) -> str:
        from kirotrio.store.sealing import seal_in

        return base64.b64encode(seal_in(connection, self._sealer, plain, purpose)).decode()

    def _opened(self, sealed: str, purpose: str) -> bytes:
        return self._sealer.open(base64.b64decode(sealed), purpose)


def _prefix(user_id: str) -> str:
    from kirotrio.store.posted_rows import TASKS

    return f"{TASKS}{_digest(user_id)}/"


def _name(user_id: str, task_id: str) -> str:
    return _prefix(user_id) + _digest(task_id)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
