"""Putting the accounts of a gateway together: store, keys to the secrets, pool."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import trio

from kirotrio.accounts.http_calls import HttpCalls
from kirotrio.accounts.lending.colleagues import Colleagues
from kirotrio.accounts.lending.pool import Pool
from kirotrio.accounts.shared import Shared, StoredSnapshots
from kirotrio.accounts.sources.places import Places
from kirotrio.accounts.terms import turn_lasts
from kirotrio.accounts.worth.model_lists import ModelLists
from kirotrio.accounts.worth.usage_book import UsageBook
from kirotrio.config.settings import Settings
from kirotrio.store.migrate import open_store
from kirotrio.store.vault import open_vault
from kirotrio.telemetry.log import Log


def open_shared(settings: Settings, data_dir: Path) -> Shared:
    """The store of these settings, migrated, with the key to its secrets. Blocking; close its database at the end.

    Raises SettingsError, which says what to do, and StoreUnavailable.
    """
    database = open_store(settings.store.url, data_dir, deadline=settings.deadlines.store)
    try:
        vault = open_vault(database, settings.store, data_dir)
        shared = Shared(database, vault, turn_lasts(settings), data_dir / "accounts")
        database.writing(shared.tidy)
    except BaseException:
        database.close()
        raise
    return shared


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
