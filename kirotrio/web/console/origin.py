"""Whether a request that changes something was made by one of our own pages. Pure.

Two proofs are asked for, each enough by itself: what the browser says of where the request came from, which no page can
forge, and a token that only our pages know (`token_of`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

from kirotrio.errors import PermissionDenied


def check_origin(headers: Mapping[str, str]) -> None:
    """Raises PermissionDenied for a request from another site, or from what tells nothing of itself.

    `Sec-Fetch-Site` counts where it was sent (browsers send it to hosts they reach by TLS, and to localhost), else
    `Origin` has to name the host that the request went to. X-Forwarded-Host is never looked at: a proxy in front has
    to pass `Host` on.
    """
    site = headers.get("sec-fetch-site")
    origin = headers.get("origin")
    if site is not None:
        if site != "same-origin":
            raise PermissionDenied("this form was sent by another site; open the page itself and send it from there")
        if origin == "null":
            raise PermissionDenied("this form comes from a page that hides where it comes from")
        return
    if origin is None:
        raise PermissionDenied("the browser does not tell where this form comes from (Origin); use one that does")
    if not headers.get("host") or urlsplit(origin).netloc.lower() != headers["host"].lower():
        raise PermissionDenied(
            "this form was sent by another site, or the proxy in front of the gateway does not pass the Host field on"
        )


class FormOutdated(PermissionDenied):
    """The form is of a page from before the sign-in that holds now."""

    def __init__(self) -> None:
        super().__init__("this page is from an earlier sign-in; load it again and repeat what you did")


def check_token(given: str, expected: str) -> None:
    """Raises FormOutdated for a form that is not from a page of this session."""
    if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
        raise FormOutdated


def token_of(visitor: str) -> str:
    """The token of forms that are filled in before anybody signed in."""
    return hashlib.sha256(b"kirotrio form " + visitor.encode()).hexdigest()[:43] if visitor else ""


def token_of_link(purpose: str, csrf: str) -> str:
    """What a link of ours has to bring along that does something at a provider. It stands in an address, so it is not
    the token that forms have, and is good for this purpose alone."""
    return hashlib.sha256(f"kirotrio {purpose} {csrf}".encode()).hexdigest()[:43]
