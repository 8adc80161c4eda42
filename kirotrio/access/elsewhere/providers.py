"""The providers that the settings name, and the address that they are to send browsers back to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from kirotrio.access.elsewhere.code import Client
from kirotrio.access.elsewhere.discovery import is_loopback
from kirotrio.access.elsewhere.github import PUBLIC as GITHUB
from kirotrio.access.elsewhere.github import SCOPE as GITHUB_SCOPE
from kirotrio.access.elsewhere.github import GitHub
from kirotrio.access.elsewhere.identity import ElsewhereFailed, Trouble
from kirotrio.access.elsewhere.linuxdo import PUBLIC as LINUXDO
from kirotrio.access.elsewhere.linuxdo import LinuxDo
from kirotrio.access.elsewhere.openid import OpenIdProvider
from kirotrio.access.elsewhere.provider import Provider
from kirotrio.config.team import SignInSettings


def providers_of(settings: SignInSettings, now: Callable[[], float]) -> Mapping[str, Provider]:
    """By name, in the order of their buttons. `now` is the wall clock in epoch seconds.

    A provider is there where its client id is set; OpenID takes its issuer, too.
    """
    found: list[Provider] = []
    if settings.openid_issuer and settings.openid_client_id:
        client = Client(settings.openid_client_id, settings.openid_client_secret, _scopes(settings.openid_scopes))
        label = settings.openid_name or urlsplit(settings.openid_issuer).hostname or "OpenID"
        found.append(OpenIdProvider.at(settings.openid_issuer, label, client, now))
    if settings.github_client_id:
        client = Client(settings.github_client_id, settings.github_client_secret, GITHUB_SCOPE)
        found.append(GitHub(client, settings.github_url.rstrip("/") or GITHUB))
    if settings.linuxdo_client_id:
        client = Client(settings.linuxdo_client_id, settings.linuxdo_client_secret)
        found.append(LinuxDo(client, settings.linuxdo_url.rstrip("/") or LINUXDO, settings.linuxdo_trust_level))
    return MappingProxyType({one.name: one for one in found})


def redirect_uri(public_url: str, host: str, provider: str) -> str:
    """Where a provider sends the browser back to: below `sign_in.public_url`.

    Without that it is `host`, the field of the request, if it names this machine: for any other, whoever sends a
    request would choose it. Raises ElsewhereFailed.
    """
    base = public_url.rstrip("/")
    if not base:
        try:
            known = is_loopback(urlsplit(f"//{host}").hostname or "")
        except ValueError:
            known = False
        if not known or "@" in host or "/" in host or "\\" in host:
            raise ElsewhereFailed(
                "sign_in.public_url is not set: the address at which browsers reach this gateway",
                Trouble.MISCONFIGURED,
            )
        base = f"http://{host}"
    return f"{base}/console/sign-in/{provider}/callback"


def _scopes(written: str) -> str:
    """With `openid`, without which no provider sends an ID token."""
    scopes = written.replace(",", " ").split()
    return " ".join(scopes if "openid" in scopes else ["openid", *scopes])
