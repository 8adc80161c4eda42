"""What `kirotrio doctor` says of the store and of each account. Nothing here refreshes a token."""

from __future__ import annotations

import functools
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from kirotrio.accounts.lending.states import moment
from kirotrio.cli import checks
from kirotrio.cli.accounts.states import SOON, state_of
from kirotrio.cli.checks import Finding
from kirotrio.config import LoadedSettings
from kirotrio.config.settings import Settings
from kirotrio.errors import KirotrioError, Recovery

if TYPE_CHECKING:
    import trio

    from kirotrio.accounts.account import Account
    from kirotrio.accounts.shared import Known
    from kirotrio.accounts.sources.source import Source
    from kirotrio.cli.stores import Stores
    from kirotrio.kiro.client import Transport
    from kirotrio.store.account_record import AccountRecord

Check: TypeAlias = Callable[[], Awaitable[Iterable[Finding]]]

_SECRETS = ("*.db", "*.db-wal", "*.db-shm", "store.key*", "client-key", "accounts/*.json")
"""Files of the data folder that hold secrets, sealed or not."""


def modes(loaded: LoadedSettings) -> Iterable[Finding]:
    """Files with secrets that others on this machine can read, and a folder that others can write to."""
    folder, key_file = loaded.settings.data.dir, loaded.settings.store.key_file
    if os.name == "nt" or folder is None:
        return []
    files = [path for pattern in _SECRETS for path in sorted(folder.glob(pattern))]
    looked = [*((path, 0o077, "600") for path in [*files, *([key_file] if key_file else [])]), (folder, 0o022, "700")]
    findings = [finding for path, forbidden, right in looked if (finding := _mode(path, forbidden, right))]
    return findings or [Finding("ok", "file modes", "others can neither read nor change what is kept")]


def _mode(path: Path, forbidden: int, right: str) -> Finding | None:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Finding("note", "file modes", f"{path} cannot be looked at ({error.strerror})")
    if not mode & forbidden:
        return None
    open_to = "read by" if right == "600" else "changed by"
    return Finding("wrong", "file modes", f"{path} can be {open_to} others ({mode:o}); run `chmod {right} {path}`")


def store(stores: Stores, known: Known) -> Iterable[Finding]:
    """Of a store that opened, with the key to its secrets."""
    count = len(known.records)
    told = f"{count} account" + ("" if count == 1 else "s")
    sealed = ", and the key to their secrets is there" if count else ""
    yield Finding("ok", "store", f"{stores.database.where} answers; it holds {told}{sealed}")


def kept(
    loaded: LoadedSettings, stores: Stores, known: Known, transport: Transport, nursery: trio.Nursery
) -> dict[str, Check]:
    """A check for each account of the store."""
    from kirotrio.cli.probing import kept_account

    named: dict[str, Check] = {}
    now = time.time()
    for record in known.records:
        pauses = [cooldown for account_id, cooldown in known.cooldowns if account_id == record.id]
        state = state_of(record, pauses, now)
        subject = f"account {record.name}"
        if record.enabled and state.serves:
            open_account = functools.partial(kept_account, loaded, stores, record, transport, nursery)
            named[subject] = functools.partial(_serving, loaded.settings, record, open_account, transport)
        else:
            said = f"{state}; {state.reason}" if state.reason else str(state)
            grave = record.enabled and state.until is None
            way_out = "" if "`" in said or not grave else f"; then run `kirotrio accounts enable {record.name}`"
            finding = Finding("wrong" if grave else "ok" if not record.enabled else "note", subject, said + way_out)
            named[subject] = functools.partial(_settled, finding)
    return named


async def _settled(finding: Finding) -> Iterable[Finding]:
    return [finding]


async def _serving(
    settings: Settings, record: AccountRecord, open_account: Callable[[], Account], transport: Transport
) -> Iterable[Finding]:
    from kirotrio.accounts.sources.kept import missing_sign_in

    subject = f"account {record.name}"
    if missing := await missing_sign_in(record):
        return [Finding("wrong", subject, missing)]
    return [*await asked(settings, open_account(), transport, subject), *registration(record, time.time())]


def registration(record: AccountRecord, now: float) -> Iterable[Finding]:
    """A client's registration that ends soon: then nothing of that sign-in can be refreshed any more."""
    ends = record.registration_expires_at
    if ends is not None and now < ends < now + SOON:
        yield Finding(
            "note",
            f"account {record.name}",
            f"the registration of its client ends on {moment(ends)}; `kirotrio login --again {record.name}` makes a "
            "new one",
        )


async def outside(settings: Settings, source: Source, transport: Transport, nursery: trio.Nursery) -> Iterable[Finding]:
    """The sign-in that answers without being kept in the store."""
    from kirotrio.accounts.account import Account
    from kirotrio.accounts.terms import Terms
    from kirotrio.telemetry.log import SilentLog

    terms = Terms.of(settings, profile_arn=settings.accounts.profile_arn)
    return await asked(settings, Account(source, transport, nursery, terms, SilentLog()), transport, "account")


async def asked(settings: Settings, account: Account, transport: Transport, subject: str) -> Iterable[Finding]:
    """Whether the account's token is taken by the service: its list of models is the smallest question.

    A token that has expired or is refused stays as it is: a health check rotates nothing.
    """
    from kirotrio.relay.trial import list_models

    credentials = await account.peek()
    if credentials is None:
        sentence = f"the access token of {account.name} has expired; it is refreshed with the next request, not here"
        return [Finding("ok", subject, sentence)]
    try:
        models = await list_models(transport, credentials, settings)
    except KirotrioError as error:
        if error.recovery is Recovery.REFRESH_TOKEN and credentials.token_type != "API_KEY":  # noqa: S105 - a kind
            sentence = f"Kiro refuses the access token of {account.name}; the next request gets another, this check not"
            return [Finding("note", subject, sentence)]
        if error.recovery is Recovery.RESOLVE_PROFILE:
            sentence = f"{account.name} needs a profile, which is looked for with the next request ({error.message})"
            return [Finding("note", subject, sentence)]
        return [Finding("wrong", subject, error.message)]
    names = ", ".join(model.id for model in models)
    return [Finding("ok", subject, f"{account.name} can use {len(models)} models: {names}")]


def routes(known: Known, settings: Settings) -> Mapping[tuple[str, str | None], str]:
    """Scheme and host of everything that the enabled accounts call, each with the account's own proxy (None: that of
    the settings) -> an account that calls it."""
    from kirotrio.accounts.records import terms_of

    found: dict[tuple[str, str | None], str] = {}
    for record in known.records:
        if record.enabled:
            proxy_url = terms_of(record, settings).proxy_url
            for address in _addresses(record, settings):
                found.setdefault((address, proxy_url), record.name)
    return found


def _addresses(record: AccountRecord, settings: Settings) -> list[str]:
    from kirotrio.accounts.credential import ApiKey
    from kirotrio.accounts.records import credential_of, terms_of
    from kirotrio.accounts.tokens.refresh import refresh_url
    from kirotrio.kiro.endpoints import data_region, endpoints

    terms = terms_of(record, settings)
    data = endpoints(terms.flavour, data_region(record.profile_arn, terms.region), terms.data_url)
    urls = [data.data, data.control]
    if not record.follows:
        credential = credential_of(record)
        if not isinstance(credential, ApiKey):
            urls.append(refresh_url(credential, terms.auth_url))
    if record.kind != "api-key":
        urls += portal(settings)
    return hosts(urls)


def portal(settings: Settings) -> list[str]:
    """The portal's address, none where it is not asked: `upstream.url` leads elsewhere and it is not led along."""
    from kirotrio.kiro.portal import PORTAL

    upstream = settings.upstream
    if upstream.portal_url:
        return [upstream.portal_url]
    return [] if upstream.url else [PORTAL]


def hosts(urls: Iterable[str]) -> list[str]:
    """One address of every host and port."""
    return [f"{scheme}://{place}/" for scheme, place in dict.fromkeys(urlsplit(url)[:2] for url in urls)]


def reaching(
    settings: Settings, transport: Transport, found: Mapping[tuple[str, str | None], str], deadline: float
) -> dict[str, Check]:
    """A check for each of `routes`."""

    async def reach(url: str, proxy_url: str | None, owner: str) -> Iterable[Finding]:
        call = functools.partial(transport.call, "GET", url, deadline=deadline, proxy_url=proxy_url)
        place = urlsplit(url).netloc
        return await checks.upstream(call, place, settings.upstream, own_proxy=proxy_url, owner=owner)

    named: dict[str, Check] = {}
    for (url, proxy_url), owner in found.items():
        subject = f"reach {urlsplit(url).netloc}" + (f" ({owner})" if proxy_url is not None else "")
        named[subject] = functools.partial(reach, url, proxy_url, owner)
    return named
