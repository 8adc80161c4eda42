"""Where each call of a sign-in goes (KIRO_PROTOCOL 5.1, 5.2, 5.4, 6.4).

`auth_url` (`upstream.auth_url`) replaces scheme and host of the sign-in services, the pages that a browser opens
included; `portal_url` those of the portal.
"""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from kirotrio.accounts.credential import BUILDER_ID_START_URL
from kirotrio.accounts.endpoints import checked_token_endpoint, rebased
from kirotrio.accounts.sign_in.values import SignInFailed
from kirotrio.errors import AccountUnavailable

BUILDER_ID_REGION = "us-east-1"
CALLBACK_PATH = "/oauth/callback"
_PORTAL = "https://app.kiro.dev"


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
    if not usable or "@" in parts.netloc or not text.isascii() or not text.isprintable() or " " in text:
        raise SignInFailed(f"The start URL cannot be used: {wanted}", "unusable")
    return text


def checked_identity_host(url: str, what: str) -> str:
    """`url`, if a company's sign-in may be sent there (KIRO_PROTOCOL 5.4). Raises SignInFailed.

    The addresses come from an answer; neither the browser nor a code or token follows one to an unknown host.
    """
    try:
        return checked_token_endpoint(url, f"The {what} of this company's sign-in")
    except AccountUnavailable:
        raise SignInFailed(
            f"The {what} of this company's sign-in lies at a host that kirotrio does not trust with it; it works with "
            "Microsoft Entra alone. An API key (`kirotrio login api-key`) is another way in.",
            "unusable",
        ) from None
