"""Where sign-in calls go, and what may become part of an address."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from kirotrio.errors import AccountUnavailable

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}")
_ARN = re.compile(r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]+:[0-9]+:profile/[A-Za-z0-9_-]+")
_PLACEHOLDERS = frozenset({"arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"})
_EXTERNAL_HOSTS = (".microsoftonline.com", ".microsoftonline.us", ".microsoftonline.cn")


def rebased(url: str, base: str) -> str:
    """`url` with scheme and host of `base` ("" leaves it as it is); a path in `base` stays in front."""
    if not base:
        return url
    there, parts = urlsplit(base), urlsplit(url)
    path = there.path.rstrip("/") + parts.path
    return urlunsplit(parts._replace(scheme=there.scheme, netloc=there.netloc, path=path))


def social_refresh_url(region: str, auth_url: str) -> str:
    return rebased(f"https://prod.{region}.auth.desktop.kiro.dev/refreshToken", auth_url)


def oidc_token_url(region: str, auth_url: str) -> str:
    return rebased(f"https://oidc.{region}.amazonaws.com/token", auth_url)


def checked_region(region: str, where: str) -> str:
    """`region`, which becomes part of a host name, so it must look like one. Raises AccountUnavailable."""
    if not _REGION.fullmatch(region):
        raise AccountUnavailable(f"{where}: the sign-in region is not a name like us-east-1")
    return region


def checked_token_endpoint(url: str, where: str) -> str:
    """`url`, if a company's refresh token may be sent there (KIRO_PROTOCOL 5.4). Raises AccountUnavailable.

    A credentials file may have been written by somebody else; a refresh token must not follow it anywhere.
    """
    wanted = f"it has to be an https address below one of {', '.join('*' + host for host in _EXTERNAL_HOSTS)}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AccountUnavailable(f"{where}: the token endpoint is not an address; {wanted}") from None
    host = (parts.hostname or "").lower()
    if (
        parts.scheme != "https"
        or port not in (None, 443)
        or "@" in parts.netloc
        or "\\" in url
        or not host.endswith(_EXTERNAL_HOSTS)
    ):
        raise AccountUnavailable(f"{where}: tokens are not sent to the token endpoint named there; {wanted}")
    return url


def real_arn(arn: str) -> str:
    """`arn` if it is the ARN of a real profile, else "": placeholders are neither sent nor kept (KIRO_PROTOCOL 2.6)."""
    return arn if arn not in _PLACEHOLDERS and _ARN.fullmatch(arn) else ""
