"""Which models each account offers: asked once in a while, remembered per account, the static table until then."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable

import orjson
import trio

from kirotrio.config.settings import Settings
from kirotrio.errors import KirotrioError
from kirotrio.kiro.client import Transport
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import endpoints, headers_for
from kirotrio.kiro.errors import from_response
from kirotrio.kiro.models import STATIC_CATALOGUE, Catalogue, parse_models
from kirotrio.telemetry.log import Log

_FRESH = 3600.0
"""Seconds for which a list is taken as it is."""

_RETRY = 60.0
"""Seconds before a list that could not be had is asked for again."""


class ModelLists:
    """The application's knowledge of models. `known` never waits; `current` asks where the list is old."""

    def __init__(self, transport: Transport, settings: Settings, log: Log) -> None:
        self._transport = transport
        self._settings = settings
        self._log = log
        self._lists: dict[str, Catalogue] = {}
        self._due: dict[str, float] = {}
        """When each account is to be asked again."""
        self._locks: dict[str, trio.Lock] = {}

    def known(self, account: str) -> Catalogue:
        """What is known now; the static table for an account that has not been asked yet."""
        return self._lists.get(account, STATIC_CATALOGUE)

    def has(self, account: str) -> bool:
        """Whether the account has been asked at all, with success or without."""
        return account in self._due

    async def current(self, account: str, credentials: Callable[[], Awaitable[Credentials]]) -> Catalogue:
        """The account's list, asked for again once it is an hour old; what is known where it cannot be had."""
        with contextlib.suppress(KirotrioError):
            await self.refresh(account, credentials)
        return self.known(account)

    async def refresh(
        self, account: str, credentials: Callable[[], Awaitable[Credentials]], *, anew: bool = False
    ) -> None:
        """Ask for the list if it is an hour old, or `anew`; one call at a time.

        A failure is logged and raised, and not repeated for a minute. Cancellation leaves everything as it was.
        """
        async with self._locks.setdefault(account, trio.Lock()):
            if not anew and trio.current_time() < self._due.get(account, -math.inf):
                return
            try:
                self._lists[account] = await self._ask(await credentials())
                self._due[account] = trio.current_time() + _FRESH
            except KirotrioError as error:
                self._log.warning("model list unavailable", account=account, error=error.message)
                self._due[account] = trio.current_time() + _RETRY
                raise

    async def _ask(self, credentials: Credentials) -> Catalogue:
        upstream = self._settings.upstream
        endpoint = endpoints(upstream.flavour, credentials.region, upstream.url).models(
            origin=upstream.origin, profile_arn=credentials.profile_arn
        )
        headers = headers_for(credentials, endpoint, user_agent=upstream.user_agent)
        answer = await self._transport.call(
            endpoint.method, endpoint.url, headers=headers, body=endpoint.body, deadline=self._settings.deadlines.lookup
        )
        if answer.status != 200:
            raise from_response(answer.status, answer.headers, answer.body, account=credentials.account)
        try:
            models = parse_models(orjson.loads(answer.body))
        except ValueError as error:
            raise KirotrioError(f"the list of models is not readable: {error}") from error
        return Catalogue(models, complete=True) if models else STATIC_CATALOGUE
