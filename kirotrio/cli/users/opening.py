"""The users of a store, as a verb uses them."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kirotrio.cli.stores import Stores, with_store
from kirotrio.config import LoadedSettings
from kirotrio.errors import SettingsError

if TYPE_CHECKING:
    from kirotrio.access.people import People
    from kirotrio.store.user_record import User

ROLES = ("operator", "member", "viewer")


@contextlib.contextmanager
def with_people(loaded: LoadedSettings) -> Iterator[tuple[People, Stores]]:
    """Raises SettingsError where the store cannot be used, StoreUnavailable where it does not answer."""
    from kirotrio.access.people import People

    with with_store(loaded, needs_key=False) as stores:
        yield People(stores.database, stores.vault, loaded.settings), stores


def named(stores: Stores, name: str) -> User:
    """The user of this name. Raises SettingsError, which names what comes close."""
    from kirotrio.access.names import normalised
    from kirotrio.store import user_rows

    wanted = normalised(name)
    found = stores.reading(lambda connection: user_rows.named(connection, wanted))
    if found is None:
        raise SettingsError(_unknown(wanted, stores.reading(user_rows.names)))
    return found


def _unknown(name: str, known: list[str]) -> str:
    shown = "".join(sign if sign.isprintable() else "?" for sign in name)
    if not known:
        return f"there is no user {shown}, nor any other yet; `kirotrio users create NAME --role operator` makes one"
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {close[0]}?" if close else "`kirotrio users` lists all"
    return f"there is no user {shown}; {meant}"
