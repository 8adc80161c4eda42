"""What ties a browser that comes back from a provider to the one that was sent there.

A journey travels in a cookie that only the gateways of one store can make and read, so that any of them, and any
worker, may meet the browser when it comes back. The provider sees `state`, `nonce` and the challenge alone.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from typing import Any, Final

import orjson
from attrs import asdict, field

from kirotrio.access.elsewhere.identity import ElsewhereFailed, Trouble
from kirotrio.classes import frozen
from kirotrio.errors import KirotrioError
from kirotrio.store.sealer import Sealer
from kirotrio.store.vault import key_id_of

PURPOSE: Final = "sign-in elsewhere"
"""What a journey's seal is bound to: no other sealed value passes for one."""
_LONGEST_COOKIE: Final = 3800
_LONGEST_NEXT: Final = 500


@frozen
class Journey:
    """One sign-in under way. `next` is where the browser is to be in the end; `user_id` the signed-in user to whom the
    identity shall belong from then on, "" for a sign-in; with `confirms` it is that user's already, who proves it
    anew; `invitation` what was presented, "" for none. `until` is epoch seconds."""

    provider: str
    until: float
    next: str = "/console"
    user_id: str = ""
    invitation: str = field(default="", repr=False)
    state: str = field(factory=lambda: secrets.token_urlsafe(32), repr=False)
    nonce: str = field(factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(factory=lambda: secrets.token_urlsafe(48), repr=False)
    confirms: bool = False

    @property
    def challenge(self) -> str:
        """Of the verifier, by S256 (RFC 7636)."""
        from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]  # it has no types

        challenge: str = create_s256_code_challenge(self.verifier)
        return challenge

    def check_return(self, provider: str, state: str, now: float) -> None:
        """That this is the answer to this journey. Raises ElsewhereFailed."""
        fits = hmac.compare_digest(state.encode("utf-8", "surrogateescape"), self.state.encode())
        if not fits or provider != self.provider:
            raise ElsewhereFailed("the answer belongs to another sign-in than this browser's", Trouble.EXPIRED)
        if now >= self.until:
            raise ElsewhereFailed("the sign-in took too long", Trouble.EXPIRED)


def packed(journey: Journey, sealer: Sealer) -> str:
    """The cookie's value: letters, digits, - and _. Blocking, since the key may have to be looked for.

    Raises SettingsError where there is no key.
    """
    return written(sealer.seal(plain(journey), PURPOSE))


def plain(journey: Journey) -> bytes:
    """What is sealed."""
    return orjson.dumps(asdict(journey))


def written(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")


def unpacked(cookie: str, sealer: Sealer, key_id: str) -> Journey:
    """The journey in a cookie that was sealed with this key. Blocking. Raises ElsewhereFailed for whatever we did not
    make. Another key is not even looked for: a stranger would choose it, and the system's keyring be asked for it."""
    failed = ElsewhereFailed("the browser brought no sign-in of ours", Trouble.EXPIRED)
    if not cookie or len(cookie) > _LONGEST_COOKIE or not cookie.isascii():
        raise failed
    try:
        sealed = base64.b64decode(cookie + "=" * (-len(cookie) % 4), altchars=b"-_", validate=True)
        if key_id_of(sealed) != key_id:
            raise failed
        fields: dict[str, Any] = orjson.loads(sealer.open(sealed, PURPOSE))
        return Journey(**fields)
    # What is not sealed by us raises whatever a sealer says to a value that it cannot read.
    except (binascii.Error, ValueError, TypeError, KirotrioError):
        raise failed from None


def local_path(asked: str, otherwise: str = "/console") -> str:
    """`asked` where it is a page of this console, else `otherwise`: nobody is sent to another site from here."""
    simple = asked.isascii() and asked.isprintable() and len(asked) <= _LONGEST_NEXT
    path = asked.partition("?")[0].partition("#")[0]
    below = path == "/console" or path.startswith("/console/")
    # Browsers read a backslash as a slash, and resolve dots, also written as escapes, before they ask.
    if not simple or not below or any(sign in asked for sign in ("\\", " ")) or "//" in path or "." in path:
        return otherwise
    if "%" in path or path.startswith("/console/sign-in"):
        return otherwise
    return asked
