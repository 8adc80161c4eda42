"""`kirotrio login`: a person signs in to Kiro, and the account is kept."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve, frozen

from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.programs import own_command
from kirotrio.cli.stores import Stores, with_store
from kirotrio.cli.terminal import (
    Waiting,
    browser_is_here,
    can_ask,
    choose,
    choose_meanwhile,
    console_of_output,
    hyperlink,
    open_page,
    run_to_end,
    secret_from_person,
)
from kirotrio.cli.values import ProxyValue, account_name, named_region
from kirotrio.config import LoadedSettings
from kirotrio.errors import SettingsError

if TYPE_CHECKING:
    from kirotrio.accounts.keeping import Kept
    from kirotrio.accounts.profiles import Profile
    from kirotrio.accounts.sign_in import SignedIn, SignInPlan

KINDS = {
    "social": "Google or GitHub",
    "builder-id": "AWS Builder ID",
    "identity-center": "your company's AWS IAM Identity Center",
    "external": "your company's own sign-in (Microsoft Entra)",
    "api-key": "a key that was made in the Kiro portal (ksk_...)",
}
PROVIDERS = {"google": "Google", "github": "Github"}
_BROWSER_ALONE = ("external",)
_FITTING = {
    "provider": ("social",),
    "start_url": ("identity-center",),
    "domain": ("external",),
    "profile": ("identity-center", "external"),
    "method": ("social", "builder-id", "identity-center", "external"),
    "sign_in_region": ("social", "builder-id", "identity-center"),
}
"""Options that only some kinds know."""
_SPELLINGS = {"start_url": "--start-url", "sign_in_region": "--region", "method": "--browser and --device"}


@frozen
class Wishes:
    """What was given on the command line, as far as it is no setting."""

    name: str | None = None
    provider: str | None = None
    start_url: str | None = None
    domain: str | None = None
    sign_in_region: str | None = None
    profile: str | None = None
    method: str | None = None
    proxy: str | None = None
    again: str | None = None


@click.command(
    short_help="Sign in to Kiro and keep the account.",
    epilog="Like `kirotrio login builder-id --device --name work`. What is kept, `kirotrio accounts` lists.",
)
@click.option(
    "--name",
    metavar="NAME",
    callback=account_name,
    help="Name of the account. Default: made of the e-mail address.",
)
@click.option(
    "--provider",
    type=click.Choice(list(PROVIDERS), case_sensitive=False),
    help="With social: whose account it is. Default: you are asked.",
)
@click.option(
    "--start-url",
    metavar="URL",
    help="With identity-center: the address of the company's access portal. Default: you are asked.",
)
@click.option(
    "--domain",
    metavar="NAME",
    help="With external: what follows the @ in the company's e-mail addresses. Default: you are asked.",
)
@click.option(
    "--region",
    "sign_in_region",
    metavar="NAME",
    callback=named_region,
    help="Region of the sign-in itself, not of the calls after it. Default: us-east-1.",
)
@click.option("--profile", metavar="ARN", help="The profile to use. Default: the only one; of several, you are asked.")
@click.option(
    "--browser",
    "method",
    flag_value="browser",
    help="Sign in with a browser on this machine. Default where there seems to be one.",
)
@click.option(
    "--device",
    "method",
    flag_value="device",
    help="Sign in with a code, and a browser on any machine. Default over SSH and without a desktop.",
)
@click.option(
    "--proxy",
    type=ProxyValue(),
    metavar="URL|none",
    help="The account's own proxy, for the sign-in and for all its calls. Default: that of the settings.",
)
@click.option(
    "--again", metavar="NAME", help="Sign the account NAME in anew: its tokens are replaced, its settings stay."
)
@with_settings(*DATA, "proxy_url")
@click.argument("kind", required=False, type=click.Choice(list(KINDS)), metavar="[KIND]")
def login(loaded: LoadedSettings, kind: str | None, **given: Any) -> int:
    """Sign in to Kiro and keep the account.

    KIND is social (Google or GitHub), builder-id (AWS Builder ID), identity-center (a company's AWS IAM Identity
    Center), external (a company's own sign-in, Microsoft Entra) or api-key. Without it you are asked.

    With a browser on this machine the sign-in comes back by itself. Over SSH and on servers a code is shown, to be
    entered in a browser on any machine. An API key is asked for, or read from standard input; it is never an argument.
    """
    wishes = Wishes(**given)
    if kind is None and not wishes.again and not can_ask():
        raise click.UsageError(f"say how to sign in: {', '.join(KINDS)}")
    with with_store(loaded) as stores:
        if wishes.again:
            there = stores.account(wishes.again)
            kind = kind or (there.kind if there.kind in KINDS else None)
            wishes = _as_before(wishes, there, kind)
        elif wishes.name and wishes.name in {account.name for account in stores.accounts()}:
            raise SettingsError(
                f"there is an account named {wishes.name} already; choose another name, or sign it in anew with "
                f"`kirotrio login --again {wishes.name}`"
            )
        plan = _plan(kind or _asked_kind(), wishes)
        stores.prepare()
        kept, plan_title = signed_in(loaded, stores, plan, wishes)
    for line in _told(kept, plan_title, wishes):
        click.echo(line)
    return 0


def _asked_kind() -> str:
    return choose("How do you sign in to Kiro?", list(KINDS), list(KINDS.values()))


def _as_before(wishes: Wishes, there: Any, kind: str | None) -> Wishes:
    """What the account was signed in with, where nothing else is said."""
    if kind != there.kind:
        return wishes
    provider = there.provider.lower()
    return evolve(
        wishes,
        provider=wishes.provider or (provider if kind == "social" and provider in PROVIDERS else None),
        start_url=wishes.start_url or (there.start_url if kind == "identity-center" else None) or None,
        sign_in_region=wishes.sign_in_region or (there.sign_in_region if kind == "identity-center" else None) or None,
        proxy=wishes.proxy or there.secrets.proxy_url or None,
        profile=wishes.profile or (there.profile_arn if kind in _FITTING["profile"] else None) or None,
    )


def _plan(kind: str, wishes: Wishes) -> SignInPlan:
    """The whole of what the sign-in needs; what is missing is asked for. Raises click.UsageError off a terminal."""
    from kirotrio.accounts.endpoints import real_arn
    from kirotrio.accounts.sign_in import SignInPlan

    for option, kinds in _FITTING.items():
        if getattr(wishes, option) and kind not in kinds:
            spelling = _SPELLINGS.get(option, f"--{option}")
            raise click.UsageError(f"{spelling} does not go with {kind}, only with {', '.join(kinds)}")
    if wishes.profile and not real_arn(wishes.profile):
        raise click.UsageError("--profile: this is not the ARN of a profile")
    if kind in _BROWSER_ALONE and wishes.method == "device":
        raise click.UsageError(f"--device does not go with {kind}: that sign-in knows no codes")
    method = wishes.method or ("browser" if kind in _BROWSER_ALONE or browser_is_here() else "device")
    given: dict[str, Any] = {"kind": kind, "method": method, "region": wishes.sign_in_region or "us-east-1"}
    if kind == "social":
        provider = wishes.provider or _asked_provider()
        given["provider"] = PROVIDERS[provider]
    elif kind == "identity-center":
        given["start_url"] = wishes.start_url or _asked("--start-url", "Start URL of the access portal")
    elif kind == "external":
        given["domain"] = wishes.domain or _asked("--domain", "Domain of the company's e-mail addresses")
    elif kind == "api-key":
        given["api_key"] = secret_from_person("API key")
    return SignInPlan(**given)


def _asked_provider() -> str:
    if not can_ask():
        raise click.UsageError(f"say with whom to sign in: --provider {' or --provider '.join(PROVIDERS)}")
    return choose("Whose account is it?", list(PROVIDERS), list(PROVIDERS.values()))


def _asked(option: str, question: str) -> str:
    if not can_ask():
        raise click.UsageError(f"{option} is missing")
    return str(click.prompt(question)).strip()


def signed_in(loaded: LoadedSettings, stores: Stores, plan: SignInPlan, wishes: Wishes) -> tuple[Kept, str]:
    """What was kept, and the title of its plan, "" if that is not known."""
    from kirotrio.accounts.keeping import keep_sign_in
    from kirotrio.accounts.records import free_name, record_of
    from kirotrio.accounts.sign_in import SignInFailed

    with Conversation(wishes.profile or "") as conversation:
        try:
            signed = run_to_end(functools.partial(_talk, loaded, plan, conversation, wishes.proxy))
        except SignInFailed as failure:
            raise SignInFailed(_with_way_on(failure.message, plan, wishes), failure.reason) from None
    if wishes.profile and signed.profile_arn != wishes.profile:
        raise SettingsError(f"this sign-in has no profile {wishes.profile}; leave --profile out to choose one it has")
    taken = [account.name for account in stores.accounts()]
    record = record_of(
        wishes.name or free_name(signed.email or plan.provider.lower() or plan.kind, taken),
        signed.credential,
        email=signed.email,
        user_id=signed.user_id,
        profile_arn=signed.profile_arn,
        proxy_url=wishes.proxy or "",
    )
    again = wishes.again or ""
    return stores.writing(lambda connection: keep_sign_in(connection, stores.vault, record, again=again)), signed.plan


async def _talk(loaded: LoadedSettings, plan: SignInPlan, conversation: Conversation, proxy: str | None) -> SignedIn:
    from kirotrio.accounts.records import own_proxy
    from kirotrio.accounts.sign_in import sign_in
    from kirotrio.kiro.client import Transport

    settings = loaded.settings
    async with Transport(settings.upstream, settings.deadlines) as transport:
        return await sign_in(plan, conversation, transport, settings, proxy_url=own_proxy(proxy or ""))


def _with_way_on(message: str, plan: SignInPlan, wishes: Wishes) -> str:
    if "kirotrio login" in message or plan.kind == "api-key":
        return message
    words = ["login", plan.kind]
    words += ["--again", wishes.again] if wishes.again else []
    return f"{message.rstrip('.')}; to try again, run `{own_command()} {' '.join(words)}`"


def _told(kept: Kept, plan: str, wishes: Wishes) -> list[str]:
    record = kept.record
    what = ", ".join(part for part in (record.kind, record.email, plan) if part)
    if kept.how == "added":
        lines = [f"Signed in: {record.name} ({what})"]
    elif kept.how == "again":
        lines = [f"Signed in anew: {record.name} ({what})"]
    else:
        lines = [f"This sign-in is the account {record.name} already; its tokens are replaced ({what})"]
        if wishes.name and wishes.name != record.name:
            lines.append(f"Its name stays; `kirotrio accounts rename {record.name} {wishes.name}` changes it.")
    if not record.enabled:
        lines.append(f"It is disabled: `kirotrio accounts enable {record.name}` lets it serve.")
    lines.append(f"Next: `kirotrio accounts test {record.name}` asks it something, `kirotrio serve` lets it answer.")
    return lines


class Conversation:
    """The flow's side of the terminal (`sign_in.Prompt`). `profile`: the ARN that was named, "" if none."""

    def __init__(self, profile: str) -> None:
        self._console = console_of_output()
        self._waiting = Waiting(self._console)
        self._profile = profile

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.stop()

    def code(self, user_code: str, address: str, complete_address: str, seconds: float) -> None:
        self._waiting.stop()
        self._address("Open this address in a browser, on any machine:", address)
        click.echo(f"and enter this code there:\n\n    {user_code}\n")
        if complete_address and complete_address != address:
            self._address("Or open this one, which has the code in it:", complete_address)
        self._waiting.begin("Waiting for you to confirm", seconds)

    def browser(self, address: str, seconds: float) -> None:
        self._waiting.stop()
        self._address("Sign in with a browser on this machine; if none opens by itself, open:", address)
        open_page(address)
        self._waiting.begin("Waiting for you to sign in", seconds)

    def waiting(self, note: str) -> None:
        self._waiting.note(note)

    async def choose_profile(self, profiles: Sequence[Profile]) -> Profile:
        """The one that was named, or the one that the person picks."""
        by_arn = {profile.arn: profile for profile in profiles}
        if self._profile:
            if self._profile not in by_arn:
                raise SettingsError(f"this sign-in has no profile {self._profile}; it has {', '.join(by_arn)}")
            return by_arn[self._profile]
        if not can_ask():
            raise SettingsError(f"this sign-in has several profiles; say which with --profile: {', '.join(by_arn)}")
        with self._waiting.paused():
            told = [_described(profile) for profile in profiles]
            return by_arn[await choose_meanwhile("Which profile is to be used?", list(by_arn), told)]

    def _address(self, sentence: str, address: str) -> None:
        click.echo(f"{sentence}\n")
        self._console.print("    ", hyperlink(address), sep="", soft_wrap=True)
        click.echo()


def _described(profile: Profile) -> str:
    status = "" if profile.active else f"({profile.status.lower()})"
    return " ".join(part for part in (profile.name, status) if part)
