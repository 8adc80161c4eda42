"""The keys of a store as the verbs use them, and how a key is told."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from kirotrio.cli.stores import with_store
from kirotrio.cli.terminal import run_to_end
from kirotrio.config import LoadedSettings
from kirotrio.errors import SettingsError

if TYPE_CHECKING:
    from kirotrio.access.key_admin import Keys
    from kirotrio.store.key_record import KeyRecord

_T = TypeVar("_T")


def with_keys(loaded: LoadedSettings, work: Callable[[Keys], Awaitable[_T]]) -> _T:
    """Run `work` on the keys of these settings' store. Raises what it raises, SettingsError, StoreUnavailable."""
    from kirotrio.access.key_admin import Keys

    with with_store(loaded, needs_key=False) as stores:
        return run_to_end(functools.partial(work, Keys(stores.database)))


async def the_key(keys: Keys, name: str, *, revoked: bool = False) -> KeyRecord:
    """The key of this name, id or beginning. Raises SettingsError where there is none, or more than one.

    `revoked`: one that was revoked will do, where there is no other.
    """
    found = await keys.named(name)
    usable = [record for record in found if record.revoked_at is None]
    chosen = usable or (found if revoked else [])
    if len(chosen) > 1:
        several = ", ".join(f"{one.prefix} ({one.owner or 'the gateway'})" for one in chosen)
        raise SettingsError(f"there are several keys named {name}: {several}; say which by what it begins with")
    if not chosen:
        if found:
            raise SettingsError(f"the key {name} was revoked; `kirotrio keys create` makes another one")
        raise SettingsError(f"there is no key {name}; `kirotrio keys list` shows those there are")
    return chosen[0]


def state_of(record: KeyRecord, now: float) -> str:
    if record.revoked_at is not None:
        return "revoked"
    if record.expires_at is not None and record.expires_at <= now:
        return "expired"
    return "ready" if record.owner_active else "owner disabled"


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def described(record: KeyRecord, now: float) -> dict[str, Any]:
    """As JSON. Times are epoch seconds."""
    return {
        "id": record.id,
        "name": record.name,
        "begins_with": record.prefix,
        "owner": record.owner,
        "state": state_of(record, now),
        "created_at": record.created_at,
        "expires_at": record.expires_at,
        "revoked_at": record.revoked_at,
        "last_used_at": record.last_used_at,
        "last_address": record.last_address,
        "models": list(record.models),
        "surfaces": list(record.surfaces),
        "networks": list(record.networks),
        "account": record.account,
        "max_concurrent": record.max_concurrent,
        "limits": {window: dict(amounts) for window, amounts in record.limits.items()},
    }


def told_limits(record: KeyRecord) -> str:
    """`day: 100 requests, month: 50 credits`, "" for none."""
    parts = [
        f"{window}: " + " and ".join(f"{most:,g} {counted}" for counted, most in amounts.items())
        for window, amounts in record.limits.items()
    ]
    return ", ".join([*parts, *([f"{record.max_concurrent} at one time"] if record.max_concurrent else [])])
