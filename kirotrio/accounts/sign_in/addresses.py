"""Where each call of a sign-in goes (KIRO_PROTOCOL 5.1, 5.2, 5.4, 6.4).

`auth_url` (`upstream.auth_url`) replaces scheme and host of the sign-in services, the pages that a browser opens
included; `portal_url` those of the portal.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlencode, urlsplit

from kirotrio.accounts.credential import BUILDER_ID_START_URL
from kirotrio.accounts.endpoints import checked_token_endpoint, rebased
from kirotrio.accounts.sign_in.values import SignInFailed
from kirotrio.errors import AccountUnavailable

BUILDER_ID_REGION = "us-east-1"
CALLBACK_PATH = "/oauth/callback"
_PORTAL = "https://app.kiro.dev"
_LONGEST_ADDRESS = 2048
_LONGEST_CODE = 64
_DOMAIN = re.compile(r"(?=.{3,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")


def social_url(path: str, region: str, auth_url: str) -> str:
    return rebased(f"https://prod.{region}.auth.desktop.kiro.dev{path}", auth_url)


def oidc_url(path: str, region: str, auth_url: str) -> str:
    return rebased(f"https://oidc.{region}.amazonaws.com{path}", auth_url)


def portal_url(path: str, portal: str) -> str:
    return rebased(_PORTAL + path, portal)


def with_query(url: str, **members: str) -> str:
    """`url` with these members in its query, in this order, after those that it has."""
    parts = urlsplit(url)
    return parts._replace(query="&".join(part for part in (parts.query, urlencode(members)) if part)).geturl()


def checked_domain(domain: str) -> str:
    """The domain of a mail address, or what was given in its place. Raises SignInFailed."""
    name = domain.strip().rpartition("@")[2].rstrip(".").lower()
    try:
        name = name.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not _DOMAIN.fullmatch(name):
        raise SignInFailed(
            "A company's sign-in is found by its mail domain: add --domain with what stands behind the @ (example.com)",
            "unusable",
        )
    return name


def checked_start_url(url: str) -> str:
    """`url`, if it is one of an Identity Center's access portal. Raises SignInFailed."""
    wanted = "it has the form https://d-xxxxxxxxxx.awsapps.com/start; ask the company's administrator for it"
    text = url.strip()
    if not text:
        raise SignInFailed(f"An Identity Center sign-in needs the start URL: {wanted}", "unusable")
    if text.rstrip("/").lower() == BUILDER_ID_START_URL:
        raise SignInFailed(
            "This start URL is that of Builder IDs: run `kirotrio login builder-id`, or name the company's own",
            "unusable",
        )
    try:
        parts = urlsplit(text)
        usable = parts.scheme == "https" and bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        usable = False
    if not usable or "@" in parts.netloc or not _is_plain(text):
        raise SignInFailed(f"The start URL cannot be used: {wanted}", "unusable")
    return text


def checked_page(url: str, bases: Iterable[str]) -> str:
    """`url`, which a service wants a person to open, if a terminal may show it: an https address of plain characters.
    http is for this machine, and for a host that one of `bases` (the settings' own addresses) names with it.

    Raises SignInFailed. What a terminal shows, it also obeys, and what a browser opens may be more than a page.
    """
    if _is_plain(url) and len(url) <= _LONGEST_ADDRESS and _may_be_opened(url, bases):
        return url
    raise SignInFailed(
        "The sign-in service wants an address opened that is no plain https address, so it is not shown; nothing was "
        f"kept. {_WHO_ANSWERS}",
        "unusable",
    )


def checked_user_code(code: str) -> str:
    """`code`, if a terminal may show it. Raises SignInFailed."""
    if code.isascii() and code.isprintable() and len(code) <= _LONGEST_CODE:
        return code
    raise SignInFailed(
        f"The sign-in service gives a code that cannot be shown or typed; nothing was kept. {_WHO_ANSWERS}", "unusable"
    )


_WHO_ANSWERS = (
    "Check who answers there (the settings upstream.auth_url and upstream.proxy_url), then run `kirotrio login` once "
    "more."
)


def _may_be_opened(url: str, bases: Iterable[str]) -> bool:
    try:
        scheme, host, port = _origin(url)
        if not host or "@" in urlsplit(url).netloc:
            return False
        return scheme == "https" or (
            scheme == "http" and (_is_here(host) or (scheme, host, port) in map(_origin, bases))
        )
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_plain(url: str) -> bool:
    return url.isascii() and url.isprintable() and " " not in url


def checked_identity_host(url: str, what: str) -> str:
    """`url`, if a company's sign-in may be sent there (KIRO_PROTOCOL 5.4). Raises SignInFailed.

    The addresses come from an answer; neither the browser nor a code or token follows one to an unknown host.
    """
    try:
        if not _is_plain(url):
            raise AccountUnavailable("an address has to be of plain characters")
        return checked_token_endpoint(url, f"The {what} of this company's sign-in")
    except AccountUnavailable:
        raise SignInFailed(
            f"The {what} of this company's sign-in lies at a host that kirotrio does not trust with it; it works with "
            "Microsoft Entra alone. An API key (`kirotrio login api-key`) is another way in.",
            "unusable",
        ) from None
