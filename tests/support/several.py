"""Several accounts of the simulator in a gateway's store, and who was asked for what."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import attrs
from sqlalchemy import Connection

from kirotrio.accounts.credential import Social
from kirotrio.accounts.opening import open_shared
from kirotrio.accounts.records import record_of
from kirotrio.config.settings import Settings
from kirotrio.simulator import SOCIAL_ARN, Account, Simulator
from kirotrio.store import accounts as rows


def subscribed(name: str, **changes: Any) -> Account:
    """A social account whose first access token is good."""
    plain = Account(
        name,
        refresh_token=f"aorSimulatorRefreshToken{'0123456789abcdef' * 8}:{name}",
        access_token=f"aoaSimulatorAccessToken{'0123456789abcdef' * 8}:{name}",
        profiles=(SOCIAL_ARN,),
    )
    return attrs.evolve(plain, **changes)


@attrs.frozen
class Kept:
    """One of the simulator's accounts, kept in the gateway's store. `row`: fields of its row that are not as usual."""

    account: Account
    row: dict[str, Any] = attrs.field(factory=dict)


def kept(name: str, *, row: dict[str, Any] | None = None, **account: Any) -> Kept:
    return Kept(subscribed(name, **account), row or {})


def keep(accounts: Iterable[Kept], settings: Settings, data_dir: Path) -> None:
    """Put them into the store, as `kirotrio login` would. Blocking."""
    shared = open_shared(settings, data_dir)

    def put(connection: Connection) -> None:
        for one in accounts:
            account = one.account
            credential = Social(
                refresh_token=account.refresh_token,
                access_token=account.access_token,
                expires_at=time.time() + 3600,
                profile_arn=account.profile_arn,
                provider="Google",
            )
            record = attrs.evolve(record_of(account.name, credential), **one.row)
            rows.add(connection, shared.sealer, record)

    try:
        shared.database.writing(put)
    finally:
        shared.database.close()


def asked(simulator: Simulator, operation: str = "GenerateAssistantResponse") -> list[str]:
    """The accounts whose tokens came with the calls of this operation, in order; "?" for a token that is no good."""
    names: list[str] = []
    for request in simulator.ledger.requests:
        if request.operation == operation:
            _, _, bearer = request.call.headers.get("authorization", "").partition(" ")
            _, account = simulator.book.identify(bearer.strip())
            names.append(account.name if account is not None else "?")
    return names
