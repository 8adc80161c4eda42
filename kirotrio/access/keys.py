"""Keys that the gateway has given out: what each may ask for, and how one is recognised.

Of a key only its SHA-256 is kept. That is enough, because a key is 32 random characters: what makes a slow hash needful
for passwords, that people choose them, is not so here.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from fnmatch import fnmatchcase
from typing import Final

from attrs import field

from kirotrio.access.budget import Budget, budget_of
from kirotrio.classes import frozen
from kirotrio.config.networks import Address, Network, read_network, within
from kirotrio.errors import AuthenticationFailed, PermissionDenied
from kirotrio.store.key_record import KeyRecord

PREFIX = "sk-kt-"
_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 32
"""Characters of 62: 190 bits."""
SHOWN = len(PREFIX) + 6
"""Characters of a key that are kept to recognise it by."""
SURFACES: Final = ("messages", "chat", "responses")
"""The APIs that a key may be bound to."""


def new_key() -> str:
    return PREFIX + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def is_key(text: str) -> bool:
    """Whether a key that was given out could look like this. Nothing else is looked for in the store."""
    return (
        len(text) == len(PREFIX) + _LENGTH
        and text.startswith(PREFIX)
        and text.isascii()
        and text[len(PREFIX) :].isalnum()
    )


def digest_of(key: str) -> str:
    """SHA-256 of a key, 64 hexadecimal digits. Any text has one."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


@frozen
class Key:
    """One key. Times are epoch seconds. An empty tuple of models, surfaces or networks allows all of them.

    `owner`: a user's id, "" for the gateway's own. `models` may have `*` in them. `account`: the only account that
    answers it, by name, "" for any.
    `max_concurrent`: requests at one time, 0 for any number.
    """

    id: str
    name: str
    prefix: str
    digest: str = field(repr=False)
    owner: str = ""
    owner_active: bool = True
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
        """Raises AuthenticationFailed for a key that was revoked or has expired, or whose owner may use nothing."""
        if self.revoked_at is not None and self.revoked_at <= now:
            raise AuthenticationFailed(f"the key {self.prefix}… was revoked; ask for another one")
        if self.expires_at is not None and self.expires_at <= now:
            raise AuthenticationFailed(f"the key {self.prefix}… has expired; ask for another one")
        if not self.owner_active:
            raise AuthenticationFailed(f"the key {self.prefix}… belongs to a user who may not use this gateway now")

    def check_place(self, surface: str, address: Address | None) -> None:
        """Raises PermissionDenied for where this key may not be used. `address` is the client's, if it has one.

        A surface that is none of `SURFACES` (the list of models) is open to every key.
        """
        if self.networks and not within(address, self.networks):
            raise PermissionDenied(f"this key may not be used from {address or 'here'}")
        if self.surfaces and surface in SURFACES and surface not in self.surfaces:
            raise PermissionDenied(f"this key may not use {surface}; it may use {', '.join(self.surfaces)}")

    def may_use(self, model: str) -> bool:
        """Whether this key may use the model of this id."""
        return not self.models or any(fnmatchcase(model.lower(), pattern.lower()) for pattern in self.models)

    def check_model(self, model: str) -> None:
        """Raises PermissionDenied for the id of a model that this key may not use."""
        if not self.may_use(model):
            raise PermissionDenied(f"this key may not use the model {model[:200]}; it may use {', '.join(self.models)}")

    @property
    def counts(self) -> bool:
        """Whether there is anything of its requests to count."""
        return self.max_concurrent > 0 or bool(self.budget.limited)


def key_of(record: KeyRecord) -> Key:
    """The key that a row tells."""
    return Key(
        id=record.id,
        name=record.name,
        prefix=record.prefix,
        digest=record.digest,
        owner=record.owner_id,
        owner_active=record.owner_active,
        created_at=record.created_at,
        expires_at=record.expires_at,
        revoked_at=record.revoked_at,
        models=record.models,
        surfaces=record.surfaces,
        networks=tuple(map(read_network, record.networks)),
        account=record.account,
        max_concurrent=record.max_concurrent,
        budget=budget_of(record.limits),
    )
