"""What `kirotrio doctor` looks at of the providers at which people sign in to the console."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from kirotrio.cli.account_checks import Check, reaching
from kirotrio.cli.checks import Finding
from kirotrio.config.settings import Settings

if TYPE_CHECKING:
    from kirotrio.access.elsewhere.openid import OpenIdProvider
    from kirotrio.kiro.client import Transport

SUBJECT = "sign-in elsewhere"


def address(settings: Settings) -> Iterable[Finding]:
    """Whether a provider can send browsers back. Nothing is said where there is no provider."""
    from kirotrio.access.elsewhere.providers import providers_of

    named = [provider.label for provider in providers_of(settings.sign_in, time.time).values()]
    if not named:
        return []
    told = f"at {', '.join(named)}"
    if not settings.sign_in.public_url:
        sentence = f"{told}, from a browser on this machine alone; for others set sign_in.public_url"
        return [Finding("note", SUBJECT, sentence)]
    return [Finding("ok", SUBJECT, f"{told}, which send browsers back to {settings.sign_in.public_url}")]


def providers(settings: Settings, transport: Transport, deadline: float) -> dict[str, Check]:
    """A check for each provider: of an OpenID one its description and its keys, of the others that they answer."""
    from kirotrio.access.elsewhere.github import GitHub
    from kirotrio.access.elsewhere.linuxdo import LinuxDo
    from kirotrio.access.elsewhere.openid import OpenIdProvider
    from kirotrio.access.elsewhere.providers import providers_of

    named: dict[str, Check] = {}
    for provider in providers_of(settings.sign_in, time.time).values():
        if isinstance(provider, OpenIdProvider):
            check = functools.partial(_described, provider, settings, transport)
            named[f"{SUBJECT}: {provider.label}"] = check
        elif isinstance(provider, GitHub | LinuxDo):
            named |= reaching(settings, transport, {(provider.url, None): ""}, deadline)
    return named


async def _described(provider: OpenIdProvider, settings: Settings, transport: Transport) -> Iterable[Finding]:
    """As the first sign-in would see it."""
    from kirotrio.access.elsewhere.discovery import check_issuer
    from kirotrio.access.elsewhere.identity import ElsewhereFailed
    from kirotrio.web.provider_calls import ProviderCalls

    fetch = ProviderCalls(transport, settings.sign_in.deadline)
    subject = f"{SUBJECT}: {provider.label}"
    try:
        check_issuer(provider.issuer)
        keys = await provider.discovered.keys(fetch)
    except ElsewhereFailed as error:
        return [Finding("wrong", subject, f"{provider.issuer}: {error.message}")]
    return [Finding("ok", subject, f"{provider.issuer} describes itself, and has {len(keys)} keys")]
