"""Who is told of a change of accounts, in the very transaction that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from sqlalchemy import Connection

Note: TypeAlias = "Callable[[Connection, str, str, Mapping[str, Any]], None]"
"""Called with the connection, the action (`account.add`), the account's name, and details without secrets."""
