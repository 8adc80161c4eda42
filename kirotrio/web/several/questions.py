"""What gateways on one database ask of each other, and answer: both travel as news, which each hears within
`store.look_every`; who waits for an answer looks as often as one who waits for a place.

For what people do by hand, such as ending an answer that runs elsewhere: nothing of this is done for a request.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

import orjson
import trio
from attrs import field

from kirotrio.classes import define
from kirotrio.errors import KirotrioError, Overloaded, StoreUnavailable
from kirotrio.telemetry.log import Log
from kirotrio.web.several.clerk import Clerk


@define(eq=False)
class _Open:
    """A question. `missing`: who has not answered."""

    missing: set[str]
    said: Any = None
    done: trio.Event = field(factory=trio.Event)


class Questions:
    """`patience`: seconds that an answer is waited for."""

    def __init__(self, clerk: Clerk, log: Log, patience: float) -> None:
        self._clerk = clerk
        self._log = log
        self._patience = patience
        self._open: dict[str, _Open] = {}
        self._nursery: trio.Nursery | None = None
        self.answers: dict[str, Callable[[Any], Awaitable[Any]]] = {}
        """What this gateway says to the others, by what is asked: called with the question's argument, it gives what
        JSON can hold, and None where it knows nothing of it."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Answer until cancelled."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()

    async def ask(self, what: str, argument: Any, of: Collection[str] | None = None) -> Any:
        """The first answer of these gateways, of all others where none are named; None where nobody knows anything.

        Neither question nor answer may have a secret in it. Raises StoreUnavailable where the database is away, and
        Overloaded where one has not answered in time: then it may be that it does so later. Cancelling the wait leaves
        the question asked.
        """
        asked = sorted(self._clerk.others if of is None else of)
        if self._clerk.away:
            raise StoreUnavailable("the other gateways cannot be asked while the database is away", retry_after=5.0)
        if not asked:
            return None
        ticket = secrets.token_hex(8)
        question = self._open[ticket] = _Open(set(asked))
        try:
            self._say({"ask": what, "of": asked, "ticket": ticket, "from": self._clerk.state.holder, "with": argument})
            with self._clerk.listening(), trio.move_on_after(self._patience):
                await question.done.wait()
        finally:
            del self._open[ticket]
        if not question.done.is_set():
            raise Overloaded("another gateway does not answer at present; look again in a moment", retry_after=5.0)
        return question.said

    def hear(self, told: Mapping[str, Any]) -> None:
        """Of what others have told, what is a question or an answer."""
        holder = self._clerk.state.holder
        if "ask" in told and holder in told["of"] and self._nursery is not None:
            self._nursery.start_soon(self._reply, told["ask"], told["with"], told["ticket"], told["from"])
        elif "said" in told and (question := self._open.get(told["ticket"])) is not None:
            question.missing.discard(told["from"])
            question.said = told["said"] if question.said is None else question.said
            if question.said is not None or not question.missing:
                question.done.set()

    async def _reply(self, what: str, argument: Any, ticket: str, asker: str) -> None:
        said = None
        try:
            said = await self.answers[what](argument) if what in self.answers else None
        except KirotrioError as error:
            self._log.warning("a question of another gateway failed", error=error.in_full, what=what)
        except Exception as error:  # it must not part this gateway from the others
            self._log.error("a question of another gateway failed", exc_info=error, what=what)
        self._clerk.post()  # what came of it is seen with the answer
        self._say({"said": said, "ticket": ticket, "from": self._clerk.state.holder, "to": asker})

    def _say(self, told: Mapping[str, Any]) -> None:
        self._clerk.tell(orjson.dumps(told).decode())
