"""Sign-ins under way: codes for another device, codes for a browser, and the person who agrees to them or does not.

A device code is pending until the person has acted, which shows at the poll after `Person.polls` of them; polls that
come faster than the interval get `slow_down`, and the interval grows by five seconds. Both kinds of code are good
once, and until they expire. Times are seconds of the book's clock.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Iterable
from typing import Final, Literal, TypeAlias

from kirotrio.classes import define, frozen
from kirotrio.simulator.accounts import SOCIAL_ARN, Account, AccountBook, Grant, Kind, sample_profiles

BUILDER_ID_START_URL: Final = "https://view.awsapps.com/start"
SLOW_DOWN: Final = 5.0

Does: TypeAlias = Literal["agree", "deny", "never"]


@define
class Person:
    """Whoever is asked to agree. `does`: what comes of it; `polls`: how many polls that takes with a device code.

    `profiles` are those of the accounts that come of it and need one, None for the samples'; `provider` is whom a
    person chooses on the page of social sign-ins, `domain` where a company's sign-in is known.
    """

    does: Does = "agree"
    polls: int = 1
    profiles: tuple[str, ...] | None = None
    provider: str = "Google"
    domain: str = "example.com"
    email: str = "person@example.com"
    user_id: str = "d-0000000000.person"


class Refusal(Exception):
    """An OAuth error by its name: `authorization_pending`, `slow_down`, `access_denied`, `expired_token`,
    `invalid_grant`."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error


@define
class _Device:
    kind: Kind
    owner: str
    provider: str
    expires: float
    interval: float
    polls: int = 0
    last: float = float("-inf")


@frozen
class _Code:
    """`owner` is the client's id; "" where there is none."""

    kind: Kind
    owner: str
    redirect_uri: str
    challenge: str
    expires: float


class SignIns:
    """All sign-ins under way. `interval` and the lives of codes may be changed by tests before a sign-in begins."""

    def __init__(self, book: AccountBook, *, clock: Callable[[], float]) -> None:
        self.book = book
        self.person = Person()
        self.interval = 1.0
        self.device_life = 600.0
        self.code_life = 300.0
        self._clock = clock
        self._devices: dict[str, _Device] = {}
        self._codes: dict[str, _Code] = {}

    # -- device codes ----------------------------------------------------------------------------------------------

    def begin_device(self, kind: Kind, owner: str, *, provider: str = "") -> str:
        """The device code of a new sign-in."""
        code = secrets.token_urlsafe(32)
        self._devices[code] = _Device(kind, owner, provider, self._clock() + self.device_life, self.interval)
        return code

    def poll(self, code: object, kinds: Iterable[Kind], owner: str) -> Grant:
        """The tokens, once the person has agreed. Raises Refusal until then, and where that will not come."""
        device = self._devices.get(code) if isinstance(code, str) else None
        if device is None or device.owner != owner or device.kind not in kinds or not isinstance(code, str):
            raise Refusal("invalid_grant", "The device code is not known, or was used")
        now = self._clock()
        if now >= device.expires:
            raise Refusal("expired_token", "The device code has expired")
        if now - device.last < device.interval:
            device.last = now
            device.interval += SLOW_DOWN
            raise Refusal("slow_down", "Polled too fast")
        device.last = now
        device.polls += 1
        if self.person.does == "never" or device.polls <= self.person.polls:
            raise Refusal("authorization_pending", "Not confirmed yet")
        del self._devices[code]
        if self.person.does == "deny":
            raise Refusal("access_denied", "The person has refused")
        return self._grant(device.kind, owner, device.provider)

    # -- codes for a browser ---------------------------------------------------------------------------------------

    def begin_code(self, kind: Kind, owner: str, *, redirect_uri: str, challenge: str) -> str:
        """The code with which a browser goes back to `redirect_uri`."""
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(kind, owner, redirect_uri, challenge, self._clock() + self.code_life)
        return code

    def redeem(
        self, code: object, kinds: Iterable[Kind], owner: str, *, redirect_uri: object, verifier: object
    ) -> Grant:
        """The tokens for a code. Any attempt uses it up. Raises Refusal."""
        begun = self._codes.pop(code, None) if isinstance(code, str) else None
        if begun is None or begun.owner != owner or begun.kind not in kinds:
            raise Refusal("invalid_grant", "The code is not known, or was used")
        if self._clock() >= begun.expires:
            raise Refusal("invalid_grant", "The code has expired")
        if redirect_uri != begun.redirect_uri:
            raise Refusal("invalid_grant", "The redirect URI is not that of the sign-in")
        if not isinstance(verifier, str) or not 43 <= len(verifier) <= 128 or s256(verifier) != begun.challenge:
            raise Refusal("invalid_grant", "The code verifier does not fit the challenge")
        return self._grant(begun.kind, owner, self.person.provider if begun.kind is Kind.SOCIAL else "")

    # -- hooks -----------------------------------------------------------------------------------------------------

    def expire_codes(self) -> None:
        """Every code given out so far has expired."""
        for device in self._devices.values():
            device.expires = self._clock()
        self._codes.clear()

    def _grant(self, kind: Kind, client_id: str, provider: str) -> Grant:
        """A new account, and its first tokens."""
        person = self.person
        profiles: tuple[str, ...] = ()
        if kind is Kind.SOCIAL:
            profiles = (SOCIAL_ARN,)
        elif kind in (Kind.IDENTITY_CENTER, Kind.EXTERNAL):
            profiles = sample_profiles() if person.profiles is None else person.profiles
        account = Account(
            f"{kind.value}-{len(self.book.accounts)}",
            kind,
            client_id="" if kind is Kind.SOCIAL else client_id,
            profiles=profiles,
            plan="pro" if profiles else "free",
            email=person.email,
            user_id=person.user_id,
            identity=provider,
        )
        self.book.accounts.append(account)
        return self.book.grant(account)


def s256(verifier: str) -> str:
    """The challenge of a code verifier (RFC 7636, 4.2)."""
    digest = hashlib.sha256(verifier.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
