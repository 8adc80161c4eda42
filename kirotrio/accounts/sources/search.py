"""Which places are looked at, and in which order: what a person named first, then what other programs left."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kirotrio.accounts.credential import Oidc, Refreshable, Social
from kirotrio.accounts.sources.configured import ApiKeyStore, ConfiguredStore, Successors
from kirotrio.accounts.sources.ide import IdeStore
from kirotrio.accounts.sources.kiro_cli import CliStore
from kirotrio.accounts.sources.places import Places
from kirotrio.accounts.sources.source import Source
from kirotrio.config.settings import Settings
from kirotrio.errors import AccountUnavailable
from kirotrio.kiro.endpoints import DEFAULT_REGION

_DATABASE_SUFFIXES = (".sqlite3", ".sqlite", ".db")


def all_sources(settings: Settings, places: Places, successors: Successors) -> list[Source]:
    """Every place to look at, best first. `successors`: of the sign-ins that are given. No I/O.

    Raises AccountUnavailable where the settings contradict each other.
    """
    accounts = settings.accounts
    sources: list[Source] = []
    if accounts.refresh_token:
        store = ConfiguredStore(given=given_credential(settings), successors=successors)
        sources.append(Source(store, setting="accounts.refresh_token"))
    if accounts.api_key:
        sources.append(Source(ApiKeyStore(accounts.api_key), setting="accounts.api_key"))
    if accounts.creds_file:
        path = places.expand(accounts.creds_file)
        sources.append(Source(_named_file(path, may_write=accounts.write_back), setting="accounts.creds_file"))
    if named := places.named_cli_database:
        sources.append(Source(CliStore(named, may_write=accounts.write_back), setting="KIRO_CLI_DATABASE"))
    sources.append(Source(IdeStore(places.ide_token, profile=places.ide_profile, may_write=accounts.write_back)))
    sources.extend(Source(CliStore(path, may_write=accounts.write_back)) for path in places.cli_databases)
    return sources


def personal_source(refresh_token: str, name: str, successors: Successors) -> Source:
    """A refresh token that a client sends behind the gateway key (CONTRACT, Keys): always a social sign-in."""
    store = ConfiguredStore(
        given=Social(refresh_token=refresh_token),
        successors=successors,
        name=name,
        where="the refresh token behind the gateway key",
        remedy="sign in again and put the new refresh token behind the gateway key",
    )
    return Source(store, setting="the request")


def turn_of(source: Source) -> str:
    """The name of the turn in which what lies there is refreshed: one for all who use it, in every process.

    A refresh token that is given is one sign-in, whether a setting or a request gives it.
    """
    if isinstance(source.store, ConfiguredStore):
        return f"refresh:token:{source.store.digest[:32]}"
    return f"refresh:place:{hashlib.sha256(source.where.encode()).hexdigest()[:32]}"


def given_credential(settings: Settings) -> Refreshable:
    """The credential that `accounts.refresh_token` and its neighbours describe."""
    accounts = settings.accounts
    token = accounts.refresh_token.strip()
    if not accounts.client_id and not accounts.client_secret:
        return Social(refresh_token=token, sign_in_region=accounts.sso_region or DEFAULT_REGION)
    if not accounts.client_id or not accounts.client_secret:
        there, missing = ("client_id", "client_secret") if accounts.client_id else ("client_secret", "client_id")
        raise AccountUnavailable(
            f"accounts.{there} is set and accounts.{missing} is not: a Builder ID or Identity Center sign-in needs "
            "both, a social one neither"
        )
    return Oidc(
        refresh_token=token,
        client_id=accounts.client_id,
        client_secret=accounts.client_secret,
        sign_in_region=accounts.sso_region or settings.upstream.region,
    )


def _named_file(path: Path, *, may_write: bool) -> IdeStore | CliStore:
    if path.suffix.lower() in _DATABASE_SUFFIXES:
        return CliStore(path, name="creds-file", may_write=may_write)
    return IdeStore(
        path,
        name="creds-file",
        remedy="sign in again with the program that wrote this file",
        may_write=may_write,
    )
