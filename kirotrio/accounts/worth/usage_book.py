"""What each account is worth, as the application knows it; and the task that keeps it known."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Protocol

import trio

from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.worth.model_lists import ModelLists
from kirotrio.accounts.worth.remembered import CredentialsOf, Remembered, Snapshots
from kirotrio.accounts.worth.usage import look_up, read_document
from kirotrio.config.settings import Settings
from kirotrio.conversation.request import Json
from kirotrio.errors import KirotrioError
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.usage import AccountUsage
from kirotrio.telemetry.log import Log

TOPIC = "usage"
WHOSE_EVERY = 86_400.0
"""Seconds until the portal is asked again whose an account is, where it did not tell."""
LOOK_EVERY = 60.0
"""Seconds between two looks at whether anything that is known has become old."""
AT_ONE_TIME = 3
"""Accounts that are looked at together."""


class UsageBook(Remembered[AccountUsage]):
    """`accounts.usage_every` says how long a figure is taken as known."""

    def __init__(
        self,
        http: HttpCalls,
        settings: Settings,
        log: Log,
        *,
        snapshots: Snapshots | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(
            TOPIC,
            settings.accounts.usage_every,
            self._ask_upstream,
            read_document,
            log,
            snapshots=snapshots,
            now=now,
        )
        self._http = http
        self._settings = settings
        self._clock = now
        self._identities: dict[str, str] = {}
        self._whose_due: dict[str, float] = {}

    async def current(self, account: str, credentials: CredentialsOf, *, anew: bool = False) -> AccountUsage:
        """What the account is worth, asked for where that is old; what is known where it cannot be had.

        Raises the KirotrioError of the look where nothing is known at all. Cancellation as in `refresh`.
        """
        try:
            return await self.refresh(account, credentials, anew=anew)
        except KirotrioError:
            known = self.known(account)
            if known is None:
                raise
            return known

    def left(self, account: str) -> float | None:
        """Credits that are still paid for, for the choice by credits left; None where that is not known.

        Overage does not count: it costs money, and an account that has credits shall be used up first. After the
        reset that was announced, what was known before says nothing any more.
        """
        usage = self.known(account)
        if usage is None or (usage.resets_at is not None and usage.resets_at <= self._clock()):
            return None
        return usage.left

    async def next_reset(self, account: str, credentials: CredentialsOf) -> float | None:
        """Epoch seconds of the account's next reset, None where it cannot be had. Asked for where what is known of it
        has passed. Cancellation as in `refresh`."""
        usage = self.known(account)
        if usage is None or not self._ahead(usage):
            # Asked anew only if it was told before that moment: a service that is late must not be asked all the time.
            told_before = usage is not None and usage.resets_at is not None and usage.fetched_at < usage.resets_at
            try:
                usage = await self.refresh(account, credentials, anew=told_before)
            except KirotrioError:
                return None
        return usage.resets_at if self._ahead(usage) else None

    def _ahead(self, usage: AccountUsage) -> bool:
        return usage.resets_at is not None and usage.resets_at > self._clock()

    def forget(self, account: str) -> None:
        super().forget(account)
        self._identities.pop(account, None)
        self._whose_due.pop(account, None)

    async def _ask_upstream(self, account: str, credentials: Credentials, known: AccountUsage | None) -> Json:
        whose = trio.current_time() >= self._whose_due.get(account, 0.0)
        answer = await look_up(
            self._http,
            credentials,
            self._settings,
            known=known,
            identity=self._identities.get(account, ""),
            whose=whose,
        )
        if whose:
            self._whose_due[account] = trio.current_time() + WHOSE_EVERY
        if answer.identity:
            self._identities[account] = answer.identity
        return answer.document


class Peeked(Protocol):
    """An account as far as the background may use it."""

    @property
    def name(self) -> str: ...

    async def peek(self) -> Credentials | None:
        """A token that is good now, None without one. Refreshes nothing."""


async def keep_known(accounts: Callable[[], Iterable[Peeked]], usage: UsageBook, models: ModelLists, log: Log) -> None:
    """Keep usage and models of all accounts known, until cancelled: an application-wide task.

    Never rotates a token: an account whose token is not good now is left for whoever uses it next. `accounts` is asked
    for each round. Failures are logged where they happen, and nothing ends this task but cancellation.
    """
    places = trio.CapacityLimiter(AT_ONE_TIME)
    while True:
        try:
            async with trio.open_nursery() as nursery:
                for account in list(accounts()):
                    nursery.start_soon(_look_at, account, usage, models, log, places)
        except Exception as error:  # a look in the background never ends the process
            log.error("looking at the accounts failed", exc_info=error)
        await trio.sleep(LOOK_EVERY)


async def _look_at(
    account: Peeked, usage: UsageBook, models: ModelLists, log: Log, places: trio.CapacityLimiter
) -> None:
    async with places:
        for topic in (usage, models):
            try:
                credentials = await account.peek()
                if credentials is None:
                    return
                await topic.refresh(account.name, _given(credentials))
            except KirotrioError:
                continue  # logged already, and remembered
            except Exception as error:
                log.error("looking at an account failed", account=account.name, exc_info=error)


def _given(credentials: Credentials) -> Callable[[], Awaitable[Credentials]]:
    async def give() -> Credentials:
        return credentials

    return give
