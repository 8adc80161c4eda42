"""`kirotrio accounts add`: accounts that are at hand without a browser."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import attrs
import click

from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.stores import Stores, with_store
from kirotrio.cli.terminal import run_to_end, secret_from_person
from kirotrio.cli.values import ProxyValue, account_name
from kirotrio.config import LoadedSettings
from kirotrio.errors import AccountUnavailable, Blame, KirotrioError, SettingsError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from kirotrio.accounts.credential import Credential
    from kirotrio.accounts.keeping import Kept
    from kirotrio.accounts.sources.ide import IdeStore
    from kirotrio.accounts.sources.kiro_cli import CliStore
    from kirotrio.store.account_record import AccountRecord

_DATABASE_SUFFIXES = (".sqlite3", ".sqlite", ".db")


@click.command(short_help="Add an account without a browser.")
@click.option(
    "--follow",
    metavar="ide|kiro-cli|PATH",
    help="Follow the sign-in of the Kiro IDE, of kiro-cli, or in the file PATH: its tokens stay there. "
    "Default: a token or key is asked for.",
)
@click.option(
    "--name",
    metavar="NAME",
    callback=account_name,
    help="Name of the account. Default: made of the e-mail address.",
)
@click.option(
    "--proxy",
    type=ProxyValue(),
    metavar="URL|none",
    help="The account's own proxy, for all its calls. Default: that of the settings.",
)
@with_settings(*DATA, "proxy_url")
def add(loaded: LoadedSettings, follow: str | None, name: str | None, proxy: str | None) -> int:
    """Add an account that is at hand without a browser.

    Without --follow it asks for the refresh token of a Google or GitHub sign-in, or for an API key (ksk_...), or reads
    one from standard input. A refresh token is used once, which shows that it is good and gives it a successor: the
    program that it was copied from is signed out.

    With --follow the tokens stay with the other program: they are read there before every refresh and written back to
    it. For files with several accounts, and for other kinds of sign-in, there is `kirotrio accounts import`.
    """
    with with_store(loaded) as stores:
        if follow:
            kept = run_to_end(functools.partial(_follow, loaded, stores, follow, name, proxy or ""))
            note = ""
        else:
            kept, note = _token(loaded, stores, name, proxy)
    for line in _told(kept, note):
        click.echo(line)
    return 0


def _token(loaded: LoadedSettings, stores: Stores, name: str | None, proxy: str | None) -> tuple[Kept, str]:
    from kirotrio.accounts.sign_in import SignInPlan
    from kirotrio.cli.login import Wishes, signed_in

    token = secret_from_person("refresh token or API key")
    if token[0] in "{[":
        raise SettingsError("this is JSON, not a token; `kirotrio accounts import -` reads it")
    stores.prepare()
    if token.startswith("ksk_"):
        plan = SignInPlan("api-key", "device", api_key=token)
        return signed_in(loaded, stores, plan, Wishes(name=name, proxy=proxy))[0], ""
    return run_to_end(functools.partial(_refresh_token, loaded, stores, token, name, proxy or ""))


def _told(kept: Kept, note: str) -> list[str]:
    record = kept.record
    mail = f", {record.email}" if record.email else ""
    if kept.how == "added":
        first = f"Added: {record.name} ({record.kind}{mail})"
    else:
        first = f"This sign-in is the account {record.name} already ({record.kind}{mail})"
    return [first, *([note] if note else []), f"Next: `kirotrio accounts test {record.name}` asks it something."]


async def _refresh_token(
    loaded: LoadedSettings, stores: Stores, token: str, name: str | None, proxy: str
) -> tuple[Kept, str]:
    """Keep the token, then use it as the gateway would: its successor is kept before anybody could lose it."""
    import trio

    from kirotrio.accounts.credential import Social
    from kirotrio.accounts.credential_json import checked_refresh_token
    from kirotrio.accounts.keeping import Kept
    from kirotrio.accounts.records import free_name, record_of
    from kirotrio.accounts.sources.kept import followed_tokens
    from kirotrio.accounts.worth.usage import ask_usage
    from kirotrio.cli.probing import kept_account
    from kirotrio.kiro.client import Transport
    from kirotrio.store import accounts as rows

    checked_refresh_token(token, "what was given")
    holder = stores.reading(lambda connection: rows.known_digest(connection, token))
    if holder is not None:
        return Kept(stores.account(holder), "known"), "It was used here before, so nothing is changed."
    if (follower := (await followed_tokens(stores.accounts())).get(token)) is not None:
        return Kept(stores.account(follower), "known"), "It is followed already, so nothing is changed."
    taken = [account.name for account in stores.accounts()]
    record = record_of(name or free_name("social", taken), Social(refresh_token=token), proxy_url=proxy)
    kept = stores.writing(lambda connection: _put(connection, stores, record))
    settings = loaded.settings
    async with Transport(settings.upstream, settings.deadlines) as transport, trio.open_nursery() as nursery:
        account = kept_account(loaded, stores, record, transport, nursery)
        try:
            usage = await ask_usage(transport, await account.credentials(), settings)
        except AccountUnavailable as error:
            if error.blame is not Blame.SIGN_IN:
                return kept, f"It could not be tried: {error.message}"
            stores.writing(lambda connection: _removed(connection, stores, record))
            raise SettingsError(f"this refresh token is not accepted, so nothing was kept: {_cause(error)}") from None
        except KirotrioError as error:
            return kept, f"It could not be tried: {error.message}"
        finally:
            nursery.cancel_scope.cancel()
    return stores.writing(
        lambda connection: _with_person(connection, stores, record, usage.email, usage.user_id, rename=not name)
    ), ""


def _cause(error: BaseException) -> str:
    """What the service said, which an account's sentence wraps into what to run for an account."""
    return str(error.__cause__ or error).rstrip(".")


def _with_person(
    connection: Connection, stores: Stores, record: AccountRecord, email: str, user_id: str, *, rename: bool
) -> Kept:
    """Note whose account the new one is. Another one of the same person takes its tokens over."""
    from kirotrio.accounts.keeping import Kept
    from kirotrio.accounts.records import free_name, person_among
    from kirotrio.store import accounts as rows
    from kirotrio.store.revisions import begin_change

    begin_change(connection)
    now = rows.find(connection, stores.vault, record.id)
    if now is None:
        raise SettingsError(f"the account {record.name} was removed meanwhile")
    told = attrs.evolve(now, email=email, user_id=user_id)
    others = [account for account in rows.all_accounts(connection, stores.vault) if account.id != now.id]
    if person_among(others, told) is not None:
        _removed(connection, stores, now)
        return _put(connection, stores, told)
    changes: dict[str, Any] = {"email": email, "user_id": user_id}
    if rename and email:
        changes["name"] = free_name(email, [account.name for account in others])
        stores.noted(connection, "account.rename", [changes["name"]], before=now.name)
    return Kept(rows.update(connection, stores.vault, now.id, **changes) or told, "added")


def _put(connection: Connection, stores: Stores, record: AccountRecord, again: str = "") -> Kept:
    from kirotrio.accounts.bringing.signed import noted
    from kirotrio.accounts.keeping import keep_sign_in

    kept = keep_sign_in(connection, stores.vault, record, again=again)
    noted(connection, stores.note, kept)
    return kept


def _removed(connection: Connection, stores: Stores, record: AccountRecord) -> None:
    from kirotrio.store import accounts as rows

    rows.remove(connection, record.id)
    stores.noted(connection, "account.remove", [record.name])


async def _follow(loaded: LoadedSettings, stores: Stores, follow: str, name: str | None, proxy: str) -> Kept:
    """An account whose tokens stay in another program's store."""
    from kirotrio.accounts.keeping import Kept
    from kirotrio.accounts.records import credentials_of, following, free_name, record_of, secret_of, token_of
    from kirotrio.accounts.sources.source import Source
    from kirotrio.accounts.worth.usage import ask_usage
    from kirotrio.kiro.client import Transport
    from kirotrio.store import accounts as rows

    store, kind = _store_named(follow, may_write=loaded.settings.accounts.write_back)
    source = Source(store)
    credential = await source.read()
    if credential is None:
        raise SettingsError(f"no sign-in is in {store.where}; {store.remedy}, then try again")
    secret, again = secret_of(credential), ""
    if (holder := stores.reading(lambda connection: rows.known_digest(connection, secret))) is not None:
        there = stores.account(holder)
        if not there.follows and token_of(there) != secret:
            return Kept(there, "known")  # its copy was refreshed, which has used up what stands in that place
        again = "" if there.follows else holder
    if obstacle := await source.obstacle():
        click.echo(f"kirotrio: its token is used to its end and not refreshed: {obstacle}", err=True)
    # Asked with the token as it stands there; one that has expired is not refreshed for this.
    blank = record_of("new", credential, proxy_url=proxy)
    email = user_id = ""
    settings = loaded.settings
    async with Transport(settings.upstream, settings.deadlines) as transport:
        with contextlib.suppress(KirotrioError):
            usage = await ask_usage(transport, credentials_of(blank, settings), settings)
            email, user_id = usage.email, usage.user_id
    taken = [account.name for account in stores.accounts()]
    record = record_of(
        name or free_name(email or store.name, taken),
        credential,
        email=email,
        user_id=user_id,
        proxy_url=proxy,
        follows=following(kind, str(store.path.absolute()), _row_of(store, credential)),
    )
    return stores.writing(lambda connection: _put(connection, stores, record, again))


def _row_of(store: IdeStore | CliStore, credential: Credential) -> str:
    """Which of a database's tokens this is, so that an import knows it for the same."""
    from kirotrio.accounts.sources.kiro_cli import CliStore

    tokens = store.all_tokens() if isinstance(store, CliStore) else {}
    return next((key for key, token in tokens.items() if token == credential), "")


def _store_named(follow: str, *, may_write: bool) -> tuple[IdeStore | CliStore, str]:
    """The store to follow, and its word in `AccountRecord.follows`."""
    from kirotrio.accounts.sources.ide import IdeStore
    from kirotrio.accounts.sources.kiro_cli import CliStore
    from kirotrio.cli.surroundings import places_of_user

    places = places_of_user()
    if follow == "ide":
        return IdeStore(places.ide_token, profile=places.ide_profile, may_write=may_write), "ide"
    if follow == "kiro-cli":
        named = places.named_cli_database
        candidates = (named,) if named else places.cli_databases
        return CliStore(next((path for path in candidates if path.exists()), candidates[0]), may_write=may_write), "cli"
    path = places.expand(follow)
    if path.suffix.lower() in _DATABASE_SUFFIXES:
        return CliStore(path, may_write=may_write), "cli"
    return IdeStore(path, remedy="sign in again with the program that wrote this file", may_write=may_write), "ide"
