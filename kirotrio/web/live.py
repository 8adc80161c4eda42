"""What runs right now in all processes of this gateway, and the way to end one of it."""

from __future__ import annotations

from typing import Any

import attrs

from kirotrio.errors import Cancelled
from kirotrio.relay.streams import LiveRow, Streams
from kirotrio.web.gateway import Gateway

_TOLD = "a person has ended this answer from the gateway's live view"


async def live_rows(gateway: Gateway) -> list[LiveRow]:
    """Every running answer, the oldest first. Raises Overloaded where the other processes do not answer."""
    if gateway.seat is None:
        rows = [answer.row() for answer in gateway.relay.streams]
    else:
        rows = [LiveRow(**row) for told in await gateway.seat.everyone("live") for row in told]
    return sorted(rows, key=lambda row: (-row.age, row.id))


async def cancel(gateway: Gateway, request_id: str) -> bool:
    """End one answer with its dialect's legal error; False where none of this id runs (any more). Raises as
    `live_rows` does."""
    if gateway.seat is None:
        return gateway.relay.streams.end_one(request_id, Cancelled(_TOLD))
    return any(await gateway.seat.everyone("cancel", request_id))


def answer_colleagues(gateway: Gateway) -> None:
    """From now on this worker tells the others what it runs, and ends it where they ask for that."""
    seat = gateway.seat
    if seat is None:
        return
    streams, worker = gateway.relay.streams, seat.worker
    seat.answers["live"] = lambda _: _rows(streams, worker)
    seat.answers["cancel"] = lambda request_id: streams.end_one(str(request_id), Cancelled(_TOLD))


def _rows(streams: Streams, worker: int) -> list[dict[str, Any]]:
    return [attrs.asdict(attrs.evolve(answer.row(), worker=worker)) for answer in streams]
