"""Keys that the gateway has given out: what each may ask for, and how one is recognised.

Of a key only its SHA-256 is kept. That is enough, because a key is 32 random characters: what makes a slow hash needful
for passwords, that people choose them, is not so here.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import string
from fnmatch import fnmatchcase

from attrs import field

from kirotrio.access.budget import Budget
from kirotrio.classes import frozen
from kirotrio.config.networks import Address, Network
from kirotrio.errors import AuthenticationFailed, PermissionDenied

PREFIX = "sk-kt-"
_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 32
"""Characters of 62: 190 bits."""
SHOWN = len(PREFIX) + 6
"""Characters of a key that are kept to recognise it by."""


def new_key() -> str:
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def digest_of(key: str) -> str:
    """SHA-256 of a key, 64 hexadecimal digits. Any text has one."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


@frozen
class Key:
    """One key. Times are epoch seconds. An empty tuple of models, surfaces or networks allows all of them.

    `models` may have `*` in them. `account`: the only account that answers it, by name, "" for any.
    `max_concurrent`: requests at one time, 0 for any number.
    """

    id: str
    name: str
    prefix: str
    digest: str = field(repr=False)
    owner: str = ""
    created_at: float = 0.0
    expires_at: float | None = None
    revoked_at: float | None = None
    models: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()
    account: str = ""
    max_concurrent: int = 0
    budget: Budget = field(factory=Budget)

    def check_valid(self, now: float) -> None:
        """Raises AuthenticationFailed for a key that was revoked or has expired."""
        if self.revoked_at is not None and self.revoked_at <= now:
            raise AuthenticationFailed(f"the key {self.prefix}… was revoked; ask for another one")
        if self.expires_at is not None and self.expires_at <= now:
            raise AuthenticationFailed(f"the key {self.prefix}… has expired; ask for another one")

    def check_use(self, surface: str, model: str, address: Address | None) -> None:
        """Raises PermissionDenied for what this key may not be used for. `address` is the client's, if it has one."""
        if isinstance(address, ipaddress.IPv6Address):
            address = address.ipv4_mapped or address
        if self.networks and not any(address is not None and address in network for network in self.networks):
            raise PermissionDenied(f"this key may not be used from {address or 'here'}")
        if self.surfaces and surface not in self.surfaces:
            raise PermissionDenied(f"this key may not use {surface}; it may use {', '.join(self.surfaces)}")
        if self.models and not any(fnmatchcase(model, pattern) for pattern in self.models):
            raise PermissionDenied(f"this key may not use the model {model}; it may use {', '.join(self.models)}")
