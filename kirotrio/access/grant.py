"""Who may ask, and with whose subscription: the caller of one request, after its key was read."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import field

from kirotrio.access.keys import Key
from kirotrio.classes import define, frozen
from kirotrio.errors import AuthenticationFailed, PermissionDenied

if TYPE_CHECKING:
    from kirotrio.access.book import Book
    from kirotrio.access.counting import Counting
    from kirotrio.access.short_keys import ShortKeys
    from kirotrio.conversation.events import Usage


@define(eq=False)
class Spending:
    """What one request uses of its key's limits: `begin` once, then `settle` whatever happens."""

    _counting: Counting
    _key: Key
    _request_id: str
    _runs: bool = field(default=False, init=False)

    async def begin(self) -> None:
        """Count the request. Raises RateLimited, AuthenticationFailed, StoreUnavailable; then, and where this is
        cancelled, there is nothing to settle."""
        await self._counting.begin(self._key, self._request_id)
        self._runs = True

    async def check_again(self) -> None:
        """Ahead of asking the upstream: whether anything is left still. Raises RateLimited, StoreUnavailable."""
        await self._counting.check_again(self._key)

    @property
    def is_open(self) -> bool:
        """Whether there is something to settle."""
        return self._runs

    async def settle(self, usage: Usage | None) -> None:
        """Charge what was used, once: calls after the first do nothing. Raises nothing.

        Shielded from cancellation, with a deadline of its own. An answer of which nothing was generated is charged
        nothing but its request.
        """
        if not self._runs:
            return
        self._runs = False
        await self._counting.settle(self._key, self._request_id, *_charged(usage))


@frozen
class Grant:
    """A valid key's rights. `credential` is the caller's own refresh token, where one came along with the key."""

    key_id: str
    credential: str | None = field(default=None, repr=False)
    accounts: frozenset[str] | None = None
    """The accounts that it may use, by name; None: all of them."""
    owner: str = ""
    """The id of the user whose key it is, "" for the gateway's own."""
    key: Key | None = None
    """None for a key that the settings name, which may do everything."""

    @property
    def key_name(self) -> str:
        """What people call the key, "" for one that the settings name."""
        return self.key.name if self.key is not None else ""

    def spending(self, counting: Counting | None, request_id: str) -> Spending | None:
        """What a request uses, None where nothing of it is counted."""
        if self.key is None or counting is None or not self.key.counts:
            return None
        return Spending(counting, self.key, request_id)


@define
class Keyring:
    """The gateway keys that are accepted. Keys may contain colons."""

    _keys: Mapping[str, str] = field(repr=False)
    """Those that the settings name: key id to key."""
    book: Book | None = None
    """Those that were given out."""
    short: ShortKeys | None = None
    """Those that last minutes."""

    async def admit(self, headers: Mapping[str, str]) -> Grant:
        """Read `x-api-key` and `Authorization: Bearer` (CONTRACT, Keys).

        One valid key is enough; with two, `x-api-key` names the caller. Raises AuthenticationFailed, StoreUnavailable.
        Nothing is waited for where the key is known here.
        """
        offered = [key for key in (headers.get("x-api-key"), _bearer(headers.get("authorization"))) if key]
        if not offered:
            raise AuthenticationFailed(
                "no key was sent; send the gateway's key as `x-api-key` or as `Authorization: Bearer …`"
            )
        refusal: AuthenticationFailed | None = None
        for key in offered:
            try:
                if grant := self._grant(key) or await self._short(key) or await self._given_out(key):
                    return grant
            except AuthenticationFailed as error:
                refusal = refusal or error
        raise refusal or AuthenticationFailed(
            "this key is not known to the gateway; send the one that `kirotrio keys show` prints, the one set in "
            "server.api_key, or one made by `kirotrio keys create`"
        )

    def holds(self, key: str) -> bool:
        """Whether this is a key which the gateway was started with, with or without a refresh token behind it."""
        return self._grant(key) is not None

    def is_own(self, grant: Grant) -> bool:
        """Whether it is that of a key which the gateway was started with."""
        return grant.key_id in self._keys

    def _grant(self, offered: str) -> Grant | None:
        """The longest key that `offered` is, or begins with before a colon. Every key is compared in full."""
        best: tuple[int, Grant] | None = None
        raw = offered.encode("utf-8", "surrogateescape")
        for key_id, key in self._keys.items():
            known = key.encode()
            whole = hmac.compare_digest(raw, known)
            prefix = hmac.compare_digest(raw[: len(known) + 1], known + b":") and len(raw) > len(known) + 1
            if (whole or prefix) and (best is None or len(known) > best[0]):
                best = (len(known), Grant(key_id, offered[len(key) + 1 :] if prefix else None))
        return best[1] if best else None

    async def _short(self, offered: str) -> Grant | None:
        key = await self.short.find(offered) if self.short is not None else None
        return None if key is None else Grant(key.id, owner=key.owner, key=key)

    async def _given_out(self, offered: str) -> Grant | None:
        found = await self.book.find(offered) if self.book is not None else None
        if found is None:
            return None
        key, credential = found
        if key.account and credential is not None:
            raise PermissionDenied(
                f"this key is for the account {key.account} alone; send it without a refresh token of your own"
            )
        accounts = frozenset((key.account,)) if key.account else None
        return Grant(key.id, credential, accounts, key.owner, key)


def _charged(usage: Usage | None) -> tuple[int, float]:
    """Tokens (input, cached ones too, and output) and credits."""
    if usage is None:
        return 0, 0.0
    worth = usage.credits or 0.0
    if not (usage.measured or usage.output_tokens or worth):
        return 0, 0.0  # an estimate of what was never answered
    given = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return given + usage.output_tokens, worth


def _bearer(value: str | None) -> str | None:
    scheme, _, rest = (value or "").partition(" ")
    return rest.strip() or None if scheme.lower() == "bearer" else None
