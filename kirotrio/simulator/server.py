"""The simulator as tests and the command line use it: a Kiro upstream in a box, on real sockets or on any stream."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import trio

from kirotrio.config.settings import SimulatorSettings
from kirotrio.errors import SettingsError
from kirotrio.simulator.accounts import Account, AccountBook, demo_accounts
from kirotrio.simulator.answers import Answer, Call
from kirotrio.simulator.connection import Connection
from kirotrio.simulator.controls import ControlError, check_names, from_settings
from kirotrio.simulator.pages import PREFIX, Pages
from kirotrio.simulator.refusals import RefusalTable
from kirotrio.simulator.routes import Fault, Service, operation_of
from kirotrio.simulator.sign_ins import Person, SignIns
from kirotrio.simulator.signatures import SignatureIssuer
from kirotrio.simulator.streams import Ledger, StreamRecord

_DEFAULT_SETTINGS: Final = SimulatorSettings()
_log = logging.getLogger(__name__)


class Simulator:
    """One simulated service: its accounts, its memory of tokens and signatures, and its ledger.

    `expires_in` is the life of access tokens in seconds of `clock`. On a mock clock give `clock=trio.current_time`;
    pauses and stalls are Trio's in any case. Raises SettingsError for settings that no control allows.
    """

    def __init__(
        self,
        settings: SimulatorSettings = _DEFAULT_SETTINGS,
        *,
        accounts: Iterable[Account] | None = None,
        expires_in: int = 3600,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        try:
            defaults = from_settings(settings)
            check_names(defaults, RefusalTable.shipped())
        except ControlError as wrong:
            raise SettingsError(f"simulator.{wrong}") from None
        self.ledger = Ledger(clock, wall)
        self.book = AccountBook(demo_accounts() if accounts is None else accounts, expires_in=expires_in, clock=clock)
        self.sign_ins = SignIns(self.book, clock=clock)
        self._service = Service(self.book, self.sign_ins, defaults, signatures=SignatureIssuer(), wall=wall)
        self._pages = Pages(self._service, self.ledger)

    async def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        listeners: Sequence[trio.SocketListener] | None = None,
        task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; `nursery.start` gives the base URL (`http://127.0.0.1:41234`). Port 0: any free one.

        `listeners` that are already open are used in place of host and port. Raises OSError where it cannot listen.
        Cancellation closes every connection.
        """
        if listeners is None:
            listeners = await trio.open_tcp_listeners(port, host=host)
        name, bound, *_ = listeners[0].socket.getsockname()
        url = f"http://[{name}]:{bound}" if ":" in name else f"http://{name}:{bound}"
        async with trio.open_nursery() as nursery:
            await nursery.start(trio.serve_listeners, self.handle_connection, list(listeners))
            task_status.started(url)

    async def handle_connection(self, stream: trio.abc.Stream) -> None:
        """Serve one connection over any stream, to its end, and close it."""
        try:
            await Connection(stream, self).run()
        except Exception:
            # One connection that fails must not end the others; the log says why.
            _log.exception("a connection of the simulator failed")

    # -- hooks for tests -------------------------------------------------------------------------------------------

    def expire_access_tokens(self) -> None:
        """Every access token given out so far gets 403 from now on; API keys do not expire."""
        self.book.expire_access_tokens()

    def expire_client(self, client_id: str) -> None:
        """That OIDC registration has expired: `invalid_client`. Raises KeyError for an unknown one."""
        self.book.expire_client(client_id)

    @property
    def person(self) -> Person:
        """Who is asked to agree to sign-ins; what they do can be changed at any time."""
        return self.sign_ins.person

    def expire_codes(self) -> None:
        """Every code of a sign-in that was given out so far has expired."""
        self.sign_ins.expire_codes()

    def revoke(self, what: str) -> None:
        """Revoke a token, a key, or everything of the account of that name. Raises KeyError."""
        self.book.revoke(what)

    def refuse(self, account: str, status: str) -> None:
        """Every data call of that account gets the error of that name or number; "" ends it. Raises KeyError."""
        self._pages.refuse(account, status)

    def fail_next(
        self, where: str, status: str = "INTERNAL", *, times: int = 1, delay: float = 0.0, silent: bool = False
    ) -> None:
        """The next `times` calls of that path or operation (`/refreshToken`, `ListAvailableModels`) fail.

        `delay` is in seconds; `silent`: no answer at all. Raises KeyError for an error that there is not.
        """
        self._pages.add_fault(Fault(where, status, times, delay, silent))

    @property
    def streams(self) -> list[StreamRecord]:
        """The event streams so far, oldest first."""
        return list(self.ledger.streams)

    # -- what a connection asks ------------------------------------------------------------------------------------

    def answer(self, call: Call) -> Answer:
        return self._pages.answer(call) if self.is_page(call) else self._service.answer(call)

    def operation_name(self, call: Call) -> str:
        return operation_of(call)[1]

    def is_page(self, call: Call) -> bool:
        return call.path.startswith(PREFIX)
