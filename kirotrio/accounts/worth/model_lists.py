"""Which models each account offers: asked once in a while, remembered per account, the static table until then."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import orjson

from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.worth.remembered import CredentialsOf, Remembered, Snapshots
from kirotrio.config.settings import Settings
from kirotrio.conversation.request import Json
from kirotrio.errors import KirotrioError, UpstreamFailed
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.endpoints import endpoints, headers_for
from kirotrio.kiro.errors import from_response
from kirotrio.kiro.models import STATIC_CATALOGUE, Catalogue, parse_models
from kirotrio.telemetry.log import Log

TOPIC = "models"
_MOST_PAGES = 20


class ModelLists:
    """The application's knowledge of models. `known` never waits; `current` asks where the list is old.

    `accounts.models_every` says how long a list is taken as it is.
    """

    def __init__(
        self,
        http: HttpCalls,
        settings: Settings,
        log: Log,
        *,
        snapshots: Snapshots | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._http = http
        self._settings = settings
        self._lists: Remembered[Catalogue] = Remembered(
            TOPIC,
            settings.accounts.models_every,
            self._ask,
            lambda document, _: read_models(document),
            log,
            snapshots=snapshots,
            now=now,
        )

    def known(self, account: str) -> Catalogue:
        """What is known now; the static table for an account that has not been asked yet."""
        return self._lists.known(account) or STATIC_CATALOGUE

    def has(self, account: str) -> bool:
        """Whether the account has been asked at all, with success or without."""
        return self._lists.has(account)

    def fetched_at(self, account: str) -> float | None:
        """Epoch seconds of the account's own list, None while there is none."""
        return self._lists.fetched_at(account)

    def trouble(self, account: str) -> KirotrioError | None:
        """Why the last look failed; None after one that did not."""
        return self._lists.trouble(account)

    async def recall(self, account: str) -> Catalogue:
        """What is known, from the snapshot where nothing newer is. Asks nobody; never raises."""
        await self._lists.recall(account)
        return self.known(account)

    async def current(self, account: str, credentials: CredentialsOf) -> Catalogue:
        """The account's list, asked for again once it is old; what is known where it cannot be had."""
        with contextlib.suppress(KirotrioError):
            await self.refresh(account, credentials)
        return self.known(account)

    async def refresh(self, account: str, credentials: CredentialsOf, *, anew: bool = False) -> None:
        """Ask for the list if it is old, or `anew`; one call at a time.

        A failure is logged and raised, and not repeated for a minute. Cancellation leaves everything as it was.
        """
        await self._lists.refresh(account, credentials, anew=anew)

    def forget(self, account: str) -> None:
        """The account is gone, or is another one by now."""
        self._lists.forget(account)

    async def _ask(self, account: str, credentials: Credentials, known: Catalogue | None) -> Json:
        """The whole list, all its pages as one."""
        page = await self._page(credentials, "")
        for _ in range(_MOST_PAGES):
            token = page.get("nextToken")
            if not isinstance(token, str) or not token:
                break
            following = await self._page(credentials, token)
            page = {**page, "models": [*page.get("models", ()), *following.get("models", ())]}
            page["nextToken"] = following.get("nextToken")
        return page

    async def _page(self, credentials: Credentials, token: str) -> dict[str, Json]:
        upstream = self._settings.upstream
        endpoint = endpoints(credentials.flavour, credentials.region, credentials.url).models(
            origin=upstream.origin, profile_arn=credentials.profile_arn, next_token=token
        )
        answer = await self._http.call(
            endpoint.method,
            endpoint.url,
            headers=headers_for(credentials, endpoint, user_agent=upstream.user_agent),
            body=endpoint.body,
            deadline=self._settings.deadlines.lookup,
            proxy_url=credentials.proxy_url,
        )
        if answer.status != 200:
            raise from_response(
                answer.status, answer.headers, answer.body, now=time.time(), account=credentials.account
            )
        try:
            page = orjson.loads(answer.body)
        except ValueError as error:
            raise KirotrioError(f"the list of models is not readable: {error}") from error
        if not isinstance(page, dict) or not isinstance(page.get("models", []), list):
            raise UpstreamFailed("Kiro's list of models has no `models`; check `upstream.flavour` and `upstream.url`")
        return page


def read_models(document: Json) -> Catalogue:
    """The catalogue of a list; the static table for an empty one. Raises UpstreamFailed where it is no list."""
    models = parse_models(document)
    return Catalogue(models, complete=True) if models else STATIC_CATALOGUE
