"""Sign-ins that are used without being kept here: what a setting names, else the first that another program left."""

from __future__ import annotations

from kirotrio.accounts.credential import ApiKey, Credential
from kirotrio.accounts.endpoints import real_arn
from kirotrio.accounts.sources.configured import Successors
from kirotrio.accounts.sources.places import Places
from kirotrio.accounts.sources.search import all_sources
from kirotrio.accounts.sources.source import Source
from kirotrio.accounts.tokens.refresh import refresh_url
from kirotrio.classes import frozen
from kirotrio.config.settings import Settings
from kirotrio.errors import AccountUnavailable
from kirotrio.kiro.endpoints import data_region

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


class Finder:
    """Looks where a sign-in may be. No I/O before a method is called."""

    def __init__(self, settings: Settings, places: Places, successors: Successors) -> None:
        self._settings = settings
        self._places = places
        self._successors = successors

    @property
    def is_named(self) -> bool:
        """Whether a person's own words name a sign-in: then it answers, and no other."""
        return bool(self.named_by)

    @property
    def named_by(self) -> str:
        """The setting that names a sign-in, with its usual variable; "" where none does."""
        accounts = self._settings.accounts
        named = {
            "accounts.refresh_token (REFRESH_TOKEN)": accounts.refresh_token,
            "accounts.api_key (KIRO_API_KEY)": accounts.api_key,
            "accounts.creds_file (KIRO_CREDS_FILE)": accounts.creds_file,
            "KIRO_CLI_DATABASE": self._places.named_cli_database,
        }
        return next((setting for setting, value in named.items() if value), "")

    async def find(self) -> Source:
        """The first place where a sign-in is.

        Raises AccountUnavailable where there is none, saying where it was looked for and what to run.
        """
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
                return source
            if source.setting:
                raise AccountUnavailable(f"{source.setting} names {source.where}, and no sign-in is there: {_ABSENT}")
            looked.append(source.where)
        raise AccountUnavailable(
            "No Kiro account was found. Run `kirotrio login`, sign in with the Kiro IDE or with `kiro-cli login`, or "
            "set accounts.refresh_token, accounts.api_key or accounts.creds_file (none is set). "
            f"Looked at: {'; '.join(looked)}"
        )

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
