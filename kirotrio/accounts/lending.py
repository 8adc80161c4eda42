"""Which account answers a request: the configured or found one, or the sign-in that came with the request."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import trio
from attrs import frozen

from kirotrio.accounts.account import Account
from kirotrio.accounts.credential import ApiKey, Credential
from kirotrio.accounts.credential_json import checked_refresh_token
from kirotrio.accounts.endpoints import real_arn
from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.refresh import refresh_url
from kirotrio.accounts.sources.places import Places
from kirotrio.accounts.sources.search import all_sources, personal_source
from kirotrio.accounts.sources.source import Source
from kirotrio.accounts.terms import Terms
from kirotrio.config.settings import Settings
from kirotrio.errors import AccountUnavailable
from kirotrio.kiro.endpoints import data_region
from kirotrio.telemetry.log import Log

PERSONAL_ACCOUNTS = 256
"""How many sign-ins that came with requests are kept ready. One beyond that costs a file read and perhaps a refresh
when it comes back, no more: its successor lies in the folder."""
_ABSENT = "correct the path, or sign in with the program that keeps its sign-in there"


@frozen
class SourceReport:
    """One place that was looked at, without a secret.

    `state` is `found`, `absent` or `unreadable`. `expires_at`: epoch seconds of the access token, None if unknown or
    without end. `problem` is a clause on what is wrong there, "" if nothing; of what was found it says why it cannot
    be refreshed. `chosen`: this one answers. `sign_in_url` is where it is refreshed ("" for an API key), `region`
    that of its data calls.
    """

    name: str
    where: str
    setting: str
    state: str
    kind: str = ""
    expires_at: float | None = None
    problem: str = ""
    chosen: bool = False
    sign_in_url: str = ""
    region: str = ""

    @property
    def refreshable(self) -> bool:
        """Whether it has tokens that end, unlike an API key."""
        return bool(self.sign_in_url)


class Accounts:
    """All accounts of this gateway; at present one, and those that come with requests.

    `data_dir` is where our own files go, `nursery` the application's: refreshes run there, so it has to outlive all
    requests. `now` is the wall clock, in epoch seconds.
    """

    def __init__(
        self,
        settings: Settings,
        http: HttpCalls,
        log: Log,
        nursery: trio.Nursery,
        *,
        data_dir: Path,
        places: Places,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._http = http
        self._log = log
        self._nursery = nursery
        self._successors = data_dir / "accounts"
        self._places = places
        self._now = now
        self._own: Account | None = None
        self._choosing = trio.Lock()
        self._personal: OrderedDict[str, Account] = OrderedDict()

    async def lend(self, credential: str | None = None) -> Account:
        """The account for one request; `credential` is the refresh token that came with it, if one did.

        Raises AccountUnavailable where none is found, saying where it was looked for and what to run. What is not
        found is looked for again the next time.
        """
        if credential is not None:
            return self._lend_personal(credential.strip())
        if self._own is not None and not self._own.gone:
            return self._own
        async with self._choosing:
            own = self._own
            if own is not None and not own.gone:
                return own
            try:
                self._own = await self._choose()
            except AccountUnavailable:
                if own is None:
                    raise
                return own  # its token may be good for a while, and it knows best what to say
            return self._own

    async def describe(self) -> list[SourceReport]:
        """Every place that is looked at, best first, and what is there. For `doctor`; raises only AccountUnavailable
        where the settings contradict each other."""
        reports = []
        chosen = False
        for source in all_sources(self._settings, self._places, self._successors):
            report = await self._report(source, may_choose=not chosen)
            chosen = chosen or report.chosen or (report.state != "found" and bool(source.setting))
            reports.append(report)
        return reports

    def _lend_personal(self, refresh_token: str) -> Account:
        source_name = "the refresh token behind the gateway key"
        checked_refresh_token(refresh_token, source_name)
        digest = hashlib.sha256(refresh_token.encode()).hexdigest()
        account = self._personal.get(digest)
        if account is None:
            source = personal_source(refresh_token, f"personal-{digest[:8]}", self._successors)
            account = self._account(source)
            self._personal[digest] = account
            self._forget_idle()
        self._personal.move_to_end(digest)
        return account

    def _forget_idle(self) -> None:
        """Down to the bound again, oldest first; one that is refreshing stays, or a second refresh could begin."""
        for digest, account in list(self._personal.items())[:-1]:
            if len(self._personal) <= PERSONAL_ACCOUNTS:
                return
            if not account.busy:
                del self._personal[digest]

    async def _choose(self) -> Account:
        looked: list[str] = []
        for source in all_sources(self._settings, self._places, self._successors):
            try:
                found = await source.read()
            except AccountUnavailable as error:
                if source.setting:
                    raise  # what a person names is meant: another account must not answer in its place
                looked.append(error.message)
                continue
            if found is not None:
                if self._own is not None and self._own.where == source.where:
                    self._own.gone = False  # it is back, and may even be refreshing
                    return self._own
                return self._account(source, profile_arn=self._settings.accounts.profile_arn)
            if source.setting:
                raise AccountUnavailable(f"{source.setting} names {source.where}, and no sign-in is there: {_ABSENT}")
            looked.append(source.where)
        raise AccountUnavailable(
            "No Kiro account was found. Sign in with the Kiro IDE or with `kiro-cli login`, or "
            "set accounts.refresh_token, accounts.api_key or accounts.creds_file (none is set). "
            f"Looked at: {'; '.join(looked)}"
        )

    def _account(self, source: Source, *, profile_arn: str = "") -> Account:
        terms = Terms.of(self._settings, profile_arn=profile_arn)
        return Account(source, self._http, self._nursery, terms, self._log, now=self._now)

    async def _report(self, source: Source, *, may_choose: bool) -> SourceReport:
        try:
            found = await source.read()
        except AccountUnavailable as error:
            problem = error.message.removeprefix(source.where).lstrip(":, ")
            return SourceReport(source.name, source.where, source.setting, "unreadable", problem=problem)
        if found is None:
            problem = f"{source.setting} names it, and no sign-in is there; {_ABSENT}" if source.setting else ""
            return SourceReport(source.name, source.where, source.setting, "absent", problem=problem)
        settings = self._settings
        arn = "" if isinstance(found, ApiKey) else real_arn(settings.accounts.profile_arn) or found.profile_arn
        return SourceReport(
            source.name,
            source.where,
            source.setting,
            "found",
            kind=found.kind,
            expires_at=_expiry(found),
            problem=await source.obstacle() or "",
            chosen=may_choose,
            sign_in_url="" if isinstance(found, ApiKey) else refresh_url(found, settings.upstream.auth_url),
            region=data_region(arn, settings.upstream.region),
        )


def _expiry(credential: Credential) -> float | None:
    return None if isinstance(credential, ApiKey) else credential.expires_at
