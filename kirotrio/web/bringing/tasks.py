"""Sign-ins and imports that run: each a task of the gateway's own, which shows how far it is and may ask its person.

One process runs a task and knows of it. Where workers share a gateway, whichever is asked passes the question on to all
of them; where gateways share a database, what a task shows is posted there, and what its person answers is passed on.
What is over is remembered for a while, so that its person can see what came of it. A task's waits each have a deadline
of their own; all tasks end with the gateway.
"""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs
import trio
from attrs import field

from kirotrio.classes import define, frozen
from kirotrio.errors import KirotrioError, Overloaded, RateLimited
from kirotrio.telemetry.log import Log

if TYPE_CHECKING:
    from kirotrio.web.several.shared_tasks import SharedTasks
    from kirotrio.web.workers.seat import Seat

MOST_OF_ONE: Final = 3
"""Tasks of one user that may run at one time."""
MOST: Final = 50
"""Tasks of all users in one process."""
REMEMBERED: Final = 200
"""Tasks that are over and can still be looked at, in one process."""
FORGOTTEN_AFTER: Final = 900.0
"""Seconds after the end of a task."""
_SOON: Final = 1.0
"""Seconds that what comes of an answer is waited for, before another gateway is told that it was taken."""


@frozen(kw_only=True)
class View:
    """What a task shows now. `what` is sign-in or import; `step` what it does, `facts` what belongs to that, as JSON
    can hold it and without secrets; `note` why it takes longer, as a clause. `running`: whether it can be cancelled."""

    id: str
    user_id: str
    what: str
    step: str
    facts: Mapping[str, Any]
    note: str = ""
    running: bool = True
    setup: bool = False
    """Whether it is a step of the setup."""


class NotAnswered(KirotrioError):
    """The person was asked, and did not answer in time."""

    def __init__(self) -> None:
        super().__init__("nobody answered in time, so nothing was kept; begin once more")


@define(eq=False)
class Task:
    """One sign-in or import, as those who run it see it."""

    id: str
    user_id: str
    what: str
    setup: bool
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    ended_at: float | None = None
    """On the trio clock."""
    on_change: Callable[[], None] = lambda: None
    changed: trio.Event = field(factory=trio.Event)
    """Set with the next change of what it shows."""
    _step: str = "begins"
    _facts: Mapping[str, Any] = field(factory=dict, repr=False)
    _note: str = ""
    _takes: Callable[[str], str] | None = None

    @property
    def view(self) -> View:
        return View(
            id=self.id,
            user_id=self.user_id,
            what=self.what,
            step=self._step,
            facts=self._facts,
            note=self._note,
            running=self.ended_at is None,
            setup=self.setup,
        )

    def show(self, step: str, *, takes: Callable[[str], str] | None = None, **facts: Any) -> None:
        """From now on it does this. `takes`: called with what the person answers; it says what is wrong with that, ""
        for nothing."""
        self._step, self._facts, self._note, self._takes = step, facts, "", takes
        self._tell()

    def note(self, text: str) -> None:
        self._note = text
        self._tell()

    def _tell(self) -> None:
        self.changed.set()
        self.changed = trio.Event()
        self.on_change()

    async def ask(self, step: str, answers: Collection[str], seconds: float, **facts: Any) -> str:
        """Show this until the person gives one of these answers. Raises NotAnswered after so many seconds."""
        came, given = trio.Event(), ""

        def take(answer: str) -> str:
            nonlocal given
            if answer not in answers:
                return "this is none of the answers"
            given = answer
            came.set()
            return ""

        self.show(step, takes=take, until=time.time() + seconds, **facts)
        with trio.move_on_after(seconds):
            await came.wait()
        if not given:
            raise NotAnswered
        return given

    def end(self, step: str, **facts: Any) -> None:
        """What came of it."""
        self.ended_at = trio.current_time()
        self.show(step, **facts)

    def hear(self, answer: str) -> str:
        """What is wrong with what the person answers, "" for nothing."""
        if self._takes is None or self.ended_at is not None:
            return "nothing is asked at present; look once more"
        return self._takes(answer)


class Tasks:
    """All of them in this process. They run once `run` has started, and end with it."""

    def __init__(self, log: Log, seat: Seat | None, shared: SharedTasks | None = None) -> None:
        self._log = log
        self._seat = seat
        self._shared = shared
        self._nursery: trio.Nursery | None = None
        self._tasks: OrderedDict[str, Task] = OrderedDict()
        if seat is not None:
            seat.answers["bringing"] = self._answer
        if shared is not None:
            shared.answer_with(self._answer_elsewhere)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled, which ends them all."""
        async with trio.open_nursery() as self._nursery:
            task_status.started()
            await trio.sleep_forever()

    async def begin(
        self, user_id: str, what: str, work: Callable[[Task], Awaitable[None]], *, setup: bool = False
    ) -> str:
        """Run it for this user; its id. Raises RateLimited where too many run, Overloaded where none can,
        StoreUnavailable. Cancelling it may leave it running."""
        if self._nursery is None or self._nursery.cancel_scope.cancel_called:
            raise Overloaded("this gateway does not run; begin once more in a moment")
        self._forget()
        running = sum(task.ended_at is None for task in self._tasks.values())
        if running >= MOST or sum(view.running for view in await self.of(user_id)) >= MOST_OF_ONE:
            raise RateLimited("too many sign-ins and imports are under way; finish or cancel one of them first")
        task = Task(secrets.token_urlsafe(16), user_id, what, setup)
        self._tasks[task.id] = task
        self._nursery.start_soon(self._supervise, task, work)
        if (shared := self._shared) is not None:
            task.on_change = lambda: shared.show(user_id, task.id, lambda: attrs.asdict(task.view))
            task.on_change()
            await shared.written()  # the next that its person asks may be another gateway
        return task.id

    async def of(self, user_id: str) -> list[View]:
        """This user's, wherever they run; those that are over among them. Raises Overloaded, StoreUnavailable."""
        views = [View(**told) for part in await self._ask("of", user_id) for told in part]
        if self._shared is not None:
            here = {view.id for view in views}
            views += [View(**told) for told in await self._shared.of(user_id) if told["id"] not in here]
        return views

    async def look(self, task_id: str, user_id: str) -> View | None:
        """None for one that is not known any more, and for another user's. Raises Overloaded, StoreUnavailable."""
        told = next(iter(await self._ask("look", user_id, task_id)), None)
        if told is None and self._shared is not None:
            told = await self._shared.look(user_id, task_id)
        return None if told is None else View(**told)

    async def tell(self, task_id: str, user_id: str, answer: str) -> str | None:
        """Give it the person's answer: what is wrong with that, "" for nothing, None as in `look`, which it raises as.
        Raises Overloaded as well where another gateway does not answer, which may have taken it."""
        wrong: str | None = await self._say("tell", user_id, task_id, answer)
        return wrong

    async def cancel(self, task_id: str, user_id: str) -> bool:
        """False where it is over already, or as in `look`. Raises as `tell` does."""
        return bool(await self._say("cancel", user_id, task_id))

    async def _say(self, verb: str, user_id: str, task_id: str, *rest: str) -> Any:
        said = next(iter(await self._ask(verb, user_id, task_id, *rest)), None)
        if said is None and self._shared is not None and task_id not in self._tasks:
            said = await self._shared.pass_on(user_id, task_id, [verb, user_id, task_id, *rest])
        return said

    # Here

    async def _supervise(self, task: Task, work: Callable[[Task], Awaitable[None]]) -> None:
        """What goes wrong with one is told to its person and ends nothing else."""
        with task.scope:
            try:
                await work(task)
            except KirotrioError as error:
                task.end("failed", message=error.message)
            except Exception as error:
                self._log.error("bringing an account failed", exc_info=error, what=task.what, task=task.id)
                task.end("failed", message="something went wrong here; the gateway's log has the details")
        if task.ended_at is None:
            task.end("cancelled", **{name: task.view.facts[name] for name in ("report",) if name in task.view.facts})

    def _forget(self) -> None:
        over = [task for task in self._tasks.values() if task.ended_at is not None]
        before = trio.current_time() - FORGOTTEN_AFTER
        for number, task in enumerate(over):
            if len(over) - number > REMEMBERED or (task.ended_at or 0.0) < before:
                del self._tasks[task.id]
                if self._shared is not None:
                    self._shared.forget(task.user_id, task.id)

    async def _ask(self, *argument: str) -> list[Any]:
        """What each process says to it that knows something of it."""
        here = self._answer(argument)
        if self._seat is None or (here is not None and argument[0] != "of"):
            return [here] if here is not None else []
        return await self._seat.everyone("bringing", list(argument))

    async def _answer_elsewhere(self, argument: Sequence[str]) -> Any:
        """To a person who asks at another gateway, once what came of it can be seen, or a moment later."""
        verb, _, task_id, *_ = argument
        task = self._tasks.get(task_id)
        changed = task.changed if task is not None else trio.Event()
        said = self._answer(argument) if verb in ("tell", "cancel") else None
        if said in ("", True):
            with trio.move_on_after(_SOON):
                await changed.wait()
        return said

    def _answer(self, argument: Any) -> Any:
        verb, user_id, *rest = argument
        if verb == "of":
            return [attrs.asdict(task.view) for task in self._tasks.values() if task.user_id == user_id] or None
        task = self._tasks.get(rest[0])
        if task is None or task.user_id != user_id:
            return None
        if verb == "look":
            return attrs.asdict(task.view)
        if verb == "tell":
            return task.hear(rest[1])
        if task.ended_at is not None:
            return None
        task.scope.cancel()
        return True
