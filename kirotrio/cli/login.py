"""`kirotrio login`: a person signs in to Kiro, and the account is kept."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from kirotrio.classes import frozen
from kirotrio.cli.options import DATA, with_settings
from kirotrio.cli.programs import for_shell, own_command
from kirotrio.cli.stores import Stores, with_store
from kirotrio.cli.terminal import (
    browser_is_here,
    can_ask,
    choose,
    printable,
    run_to_end,
    secret_from_person,
    told_when_stopped,
)
from kirotrio.cli.values import ProxyValue, account_name, named_region
from kirotrio.config import LoadedSettings
from kirotrio.errors import DeadlineExceeded, KirotrioError, SettingsError, UpstreamFailed

if TYPE_CHECKING:
    from kirotrio.accounts.keeping import Kept
    from kirotrio.accounts.sign_in import Prompt, SignedIn, SignInPlan
    from kirotrio.store.account_record import AccountRecord

KINDS = {
    "social": "Google or GitHub",
    "builder-id": "AWS Builder ID",
    "identity-center": "your company's AWS IAM Identity Center",
    "external": "your company's own sign-in (Microsoft Entra)",
    "api-key": "a key that was made in the Kiro portal (ksk_...)",
}
PROVIDERS = {"google": "Google", "github": "GitHub"}
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
_STOPPED = "Stopped; nothing was kept."
_SPELLINGS = {"start_url": "--start-url", "sign_in_region": "--region", "method": "--browser and --device"}


@frozen
class Wishes:
    """What was given on the command line, as far as it is no setting. `there`: the account that signs in anew."""

    name: str | None = None
    provider: str | None = None
    start_url: str | None = None
    domain: str | None = None
    sign_in_region: str | None = None
    profile: str | None = None
    method: str | None = None
    proxy: str | None = None
    again: str | None = None
    there: AccountRecord | None = None


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
    "--again",
    metavar="NAME",
    help="Sign the account NAME in anew: its tokens are replaced, its name and settings stay.",
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
    if wishes.again and wishes.name:
        raise click.UsageError(
            "--name does not go with --again, which keeps the name; "
            f"`kirotrio accounts rename {wishes.again} {wishes.name}` changes it"
        )
    with with_store(loaded) as stores:
        if wishes.again:
            there = stores.account(wishes.again)
            kind = kind or there.kind
            wishes = _as_before(wishes, there, kind)
        elif wishes.name and wishes.name in {account.name for account in stores.accounts()}:
            raise SettingsError(
                f"there is an account named {wishes.name} already; choose another name, or sign it in anew with "
                f"`kirotrio login --again {wishes.name}`"
            )
        with told_when_stopped(_STOPPED):
            plan = _plan(kind or _asked_kind(), wishes)
            stores.prepare()
        kept, plan_title = signed_in(loaded, stores, plan, wishes)
    for line in _told(kept, plan_title, wishes):
        click.echo(line)
    return 0


def _asked_kind() -> str:
    return choose("How do you sign in to Kiro?", list(KINDS), list(KINDS.values()))


def _as_before(wishes: Wishes, there: AccountRecord, kind: str) -> Wishes:
    """What the account was signed in with, where nothing else is said. Raises SettingsError for another kind or
    provider, which is another account."""
    provider = there.provider.lower() if there.provider.lower() in PROVIDERS else ""
    if kind != there.kind:
        raise _another(there, there.kind, kind)
    if kind == "social" and provider and (wishes.provider or provider) != provider:
        raise _another(there, PROVIDERS[provider], f"{kind} --provider {wishes.provider}")
    return evolve(
        wishes,
        there=there,
        provider=wishes.provider or (provider if kind == "social" else None) or None,
        start_url=wishes.start_url or (there.start_url if kind == "identity-center" else None) or None,
        sign_in_region=wishes.sign_in_region or (there.sign_in_region if kind == "identity-center" else None) or None,
        proxy=wishes.proxy or there.secrets.proxy_url or None,
    )


def _another(there: AccountRecord, is_of: str, wanted: str) -> SettingsError:
    return SettingsError(
        f"{there.name} is an account of another kind ({is_of}), so nothing was done; `kirotrio login --again "
        f"{there.name}` signs it in anew, `kirotrio login {wanted}` adds this one as another account"
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
        given["provider"] = provider
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
    """What was kept, and the title of its plan, "" if that is not known.

    Raises SettingsError also where the sign-in was kept and its profile is still to be named; the sentence says so.
    """
    from kirotrio.accounts.bringing.signed import account_of

    signed, unsettled = _signed(loaded, plan, wishes)
    record = account_of(
        signed,
        plan,
        [account.name for account in stores.accounts()],
        name=wishes.name or "",
        email=printable(signed.email),
        # Where none could be looked up, the one that was named is as good as its word.
        profile=wishes.profile or "",
        proxy_url=wishes.proxy or "",
    )
    kept = _kept(stores, record, signed, wishes)
    if unsettled:
        raise SettingsError(
            f"{kept.record.name} is signed in anew, but {unsettled}; say which with "
            f"`{own_command()} login --again {kept.record.name} --profile ARN`"
        )
    return kept, signed.plan


def _signed(loaded: LoadedSettings, plan: SignInPlan, wishes: Wishes) -> tuple[SignedIn, str]:
    """The sign-in, and why its profile has to be named once more, "" where it has not."""
    from kirotrio.accounts.sign_in import SignInFailed
    from kirotrio.cli.sign_in_prompt import TerminalPrompt

    before = wishes.there.profile_arn if wishes.there and plan.kind in _FITTING["profile"] else ""
    command = _command(plan, wishes)
    with told_when_stopped(_STOPPED):
        with TerminalPrompt(wishes.profile or "", before) as prompt:
            try:
                signed = run_to_end(functools.partial(_talk, loaded, plan, prompt, wishes.proxy))
            except SignInFailed as failure:
                raise SignInFailed(_with_way_on(failure.message, plan, command), failure.reason) from None
            except (UpstreamFailed, DeadlineExceeded) as error:
                raise UpstreamFailed(
                    _with_remedy(error, plan, command), upstream_status=error.upstream_status
                ) from None
        only = signed.profile_arn
        if prompt.unsettled or not wishes.profile or only in ("", wishes.profile):
            return signed, prompt.unsettled
        unsettled = f"this sign-in has no profile {wishes.profile}, only {only}"
        if can_ask():
            click.confirm(f"{_sentence(unsettled)} Use that?", default=True, abort=True)
            return signed, ""
    if not wishes.again:
        raise SettingsError(f"{unsettled}; name that one with --profile, or leave it out")
    return signed, unsettled


def _kept(stores: Stores, record: AccountRecord, signed: SignedIn, wishes: Wishes) -> Kept:
    """Put it into the store. A person is asked before a sign-in goes to another account than the one that was named;
    raises AnotherPerson where that is not wanted, or nobody can be asked."""
    from kirotrio.accounts.bringing.signed import put
    from kirotrio.accounts.keeping import AnotherPerson

    def keep(record: AccountRecord, again: str) -> Kept:
        return stores.writing(
            lambda connection: put(connection, stores.vault, record, signed, stores.note, again=again)
        )

    try:
        return keep(record, wishes.again or "")
    except AnotherPerson as error:
        way = f"Sign in {error.name} anew" if error.name else f"Keep it as another account ({record.name})"
        with told_when_stopped(_STOPPED):
            if not can_ask() or not click.confirm(f"{_sentence(error.what)} {way}?", default=False):
                raise
        if error.name and wishes.there and wishes.there.secrets.proxy_url == record.secrets.proxy_url:
            # That of the account which it is not; the other one keeps its own.
            record = evolve(record, secrets=evolve(record.secrets, proxy_url=""))
    return keep(record, "")


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:]}."


async def _talk(loaded: LoadedSettings, plan: SignInPlan, prompt: Prompt, proxy: str | None) -> SignedIn:
    from kirotrio.accounts.records import own_proxy
    from kirotrio.accounts.sign_in import sign_in
    from kirotrio.kiro.client import Transport

    settings = loaded.settings
    async with Transport(settings.upstream, settings.deadlines) as transport:
        return await sign_in(plan, prompt, transport, settings, proxy_url=own_proxy(proxy or ""))


def _command(plan: SignInPlan, wishes: Wishes) -> str:
    """What does the same once more. Never with the address of a proxy, which may have a password in it."""
    words = ["login", plan.kind]
    if wishes.again:
        words += ["--again", wishes.again]
    else:
        given = {
            "--provider": plan.provider.lower(),
            "--start-url": plan.start_url,
            "--domain": plan.domain,
            "--region": wishes.sign_in_region,
            "--name": wishes.name,
        }
        words += [word for option, value in given.items() if value for word in (option, value)]
    words += ["--profile", wishes.profile] if wishes.profile else []
    words += [f"--{wishes.method}"] if wishes.method else []
    if wishes.proxy and not (wishes.there and wishes.proxy == wishes.there.secrets.proxy_url):
        words += ["--proxy", "none" if wishes.proxy == "none" else "URL"]
    return f"{own_command()} {for_shell(words)}"


def _with_way_on(message: str, plan: SignInPlan, command: str) -> str:
    """`message` with the command that does the same once more."""
    if "`kirotrio login`" in message:
        return message.replace("`kirotrio login`", f"`{command}`")
    if "kirotrio login" in message or plan.kind == "api-key":
        return message
    return f"{message.rstrip('.')}; to try again, run `{command}`"


def _with_remedy(error: KirotrioError, plan: SignInPlan, command: str) -> str:
    """The sentence of a service that failed, or was not reached, with what to do."""
    then = "try again" if plan.kind == "api-key" else f"run `{command}`"
    message = error.message.rstrip(".")
    if error.upstream_status is not None:
        return f"{message}; wait a while, then {then}"
    check = (
        "" if "proxy" in message else "check the network and the proxy (--proxy, or the setting upstream.proxy_url); "
    )
    return f"{message}; {check}`{own_command()} doctor` tries both; then {then}"


def _told(kept: Kept, plan: str, wishes: Wishes) -> list[str]:
    record, there = kept.record, wishes.there
    what = printable(", ".join(part for part in (record.kind, record.email, plan) if part))
    if kept.how == "added":
        lines = [f"Signed in: {record.name} ({what})"]
    elif kept.how == "again":
        lines = [f"Signed in anew: {record.name} ({what})"]
    else:
        lines = [f"This sign-in is the account {record.name} already; its tokens are replaced ({what})"]
        if wishes.name and wishes.name != record.name:
            lines.append(f"Its name stays; `kirotrio accounts rename {record.name} {wishes.name}` changes it.")
    if kept.how == "again" and there and there.profile_arn and there.profile_arn != record.profile_arn:
        lines.append(f"Its profile is {record.profile_arn} now; it was {there.profile_arn}.")
    if not record.enabled:
        lines.append(f"It is disabled: `kirotrio accounts enable {record.name}` lets it serve.")
    lines.append(f"Next: `kirotrio accounts test {record.name}` asks it something, `kirotrio serve` lets it answer.")
    return lines
