"""Putting the accounts of a gateway together: store, keys to the secrets, pool."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.known import known_of
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.shared import Shared, StoredSnapshots, forgotten_before
from kirotrio.accounts.sources.places import Places
from kirotrio.accounts.terms import turn_lasts
from kirotrio.accounts.worth.model_lists import ModelLists
from kirotrio.accounts.worth.usage_book import UsageBook
from kirotrio.config.settings import Settings
from kirotrio.store.account_record import CooldownRow, record_of
from kirotrio.store.creation import create
from kirotrio.store.database import Database, database_url
from kirotrio.store.glance import glance
from kirotrio.store.history import check_folder
from kirotrio.store.vault import open_vault, require_named, vault_of
from kirotrio.telemetry.log import Log

if TYPE_CHECKING:
    from kirotrio.accounts.lending.colleagues import Colleagues


def open_shared(settings: Settings, data_dir: Path) -> Shared:
    """The store of these settings, migrated, with the key to its secrets. Blocking; close its database at the end.

    Raises SettingsError, which says what to do, and StoreUnavailable.
    """
    return _opened_at_a_glance(settings, data_dir) or _opened(settings, data_dir)


def _opened_at_a_glance(settings: Settings, data_dir: Path) -> Shared | None:
    """The same for SQLite's file if that is in order, or new, which a look without SQLAlchemy tells; else None."""
    place = database_url("", data_dir) if not settings.store.url else None
    if not isinstance(place, Path):
        return None
    check_folder(data_dir)
    if not place.exists():
        create(place)
    seen = glance(place, forgotten_before())
    if seen is None:
        return None
    vault = vault_of(settings.store, data_dir)
    require_named(vault, seen.key_named, lambda: seen.holds_secrets)
    shared = Shared(Database(place, deadline=settings.deadlines.store), vault, turn_lasts(settings), _earlier(data_dir))
    records = [record_of(row, vault) for row in seen.accounts]
    shared.mode = seen.mode
    shared.opened = known_of(seen.revision, records, [CooldownRow(**row) for row in seen.cooldowns])
    return shared


def _opened(settings: Settings, data_dir: Path) -> Shared:
    from kirotrio.store.migrate import open_store

    database = open_store(settings.store.url, data_dir, deadline=settings.deadlines.store)
    try:
        vault = open_vault(database, settings.store, data_dir)
        shared = Shared(database, vault, turn_lasts(settings), _earlier(data_dir))
        database.writing(shared.tidy)
    except BaseException:
        database.close()
        raise
    return shared


def _earlier(data_dir: Path) -> Path:
    """Where earlier versions kept the successors of tokens."""
    return data_dir / "accounts"


def open_pool(
    settings: Settings,
    http: HttpCalls,
    log: Log,
    nursery: trio.Nursery,
    shared: Shared,
    places: Places,
    *,
    now: Callable[[], float] = time.time,
    colleagues: Colleagues | None = None,
) -> Pool:
    """The accounts, none of them read yet (`Pool.look`). `nursery`, `now` and `colleagues` as in `Pool`. No I/O."""
    ids: dict[str, str] = {}
    snapshots = StoredSnapshots(shared.database, ids)
    models = ModelLists(http, settings, log, snapshots=snapshots, now=now)
    usage = UsageBook(http, settings, log, snapshots=snapshots, now=now)
    return Pool(settings, http, log, nursery, shared, places, models, usage, now, ids, colleagues)
