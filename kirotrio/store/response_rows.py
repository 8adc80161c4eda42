"""Stored responses as rows. What people said in them is sealed; where they are is told by digests of owner and id."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection, delete, func, literal, select, update

from kirotrio.store.columns import insertion
from kirotrio.store.revisions import RESPONSES, begin_change
from kirotrio.store.schema import response_items, responses
from kirotrio.store.sealer import Sealer, purpose_of
from kirotrio.store.sealing import key_named, seal_in

_NOTED_EVERY = 60.0
"""Seconds after which it is noted again that a response is in use."""


def digest_of(owner: str, name: str) -> str:
    """Of a response's or an item's id."""
    key = f"{len(owner)}:{owner}{name}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(key).hexdigest()


def put(
    connection: Connection,
    sealer: Sealer,
    digest: str,
    previous: str,
    payload: bytes,
    items: Collection[str],
    now: float,
) -> None:
    """Keep it in place of what was there. `previous` and `items` are digests, too. Raises KeyMissing."""
    if not key_named(connection):
        begin_change(connection)  # or two gateways would each make a key, and name it
    # Responses hold each other's items, so that two of these would wait for each other's rows. And only from here on
    # does the key last that is named.
    begin_change(connection, RESPONSES)
    sealed = seal_in(connection, sealer, payload, purpose_of("responses", digest))
    _remove(connection, [digest])
    row = {"digest": digest, "previous": previous, "size": len(payload), "used_at": now, "sealed": sealed}
    connection.execute(insertion(connection, responses).values(**row).on_conflict_do_nothing())
    for item in sorted(set(items)):
        held = insertion(connection, response_items).values(digest=item, response=digest)
        newest = held.on_conflict_do_update(index_elements=["digest"], set_={"response": held.excluded.response})
        connection.execute(newest)


def chain(connection: Connection, digest: str, longest: int, since: float) -> list[tuple[str, str, bytes]]:
    """Digest, that of the one before it, and what is sealed: of this one and all before it, the newest first, up to the
    first that is missing or was not used since then."""
    first = select(responses.c.digest, responses.c.previous, literal(1).label("depth")).where(
        responses.c.digest == digest, responses.c.used_at > since
    )
    links = first.cte("links", recursive=True)
    following = (
        select(responses.c.digest, responses.c.previous, (links.c.depth + 1).label("depth"))
        .join(links, responses.c.digest == links.c.previous)
        .where(links.c.depth < longest, responses.c.used_at > since)
    )
    links = links.union_all(following)
    wanted = (
        select(responses.c.digest, responses.c.previous, responses.c.sealed)
        .join(links, links.c.digest == responses.c.digest)
        .order_by(links.c.depth)
    )
    return [(row.digest, row.previous, bytes(row.sealed)) for row in connection.execute(wanted)]


def holders(connection: Connection, items: Collection[str], since: float) -> Mapping[str, bytes]:
    """What is sealed of the responses that hold these items, by the response's digest."""
    found = (
        select(responses.c.digest, responses.c.sealed)
        .join(response_items, response_items.c.response == responses.c.digest)
        .where(response_items.c.digest.in_(sorted(items)), responses.c.used_at > since)
    )
    return {row.digest: bytes(row.sealed) for row in connection.execute(found)}


def touch(connection: Connection, digests: Collection[str], now: float) -> None:
    """They are in use. Rows that somebody else has in hand are in use or gone without our doing."""
    stale = select(responses.c.digest).where(
        responses.c.digest.in_(sorted(digests)), responses.c.used_at < now - _NOTED_EVERY
    )
    if old := connection.execute(stale.with_for_update(skip_locked=True)).scalars().all():
        connection.execute(update(responses).where(responses.c.digest.in_(old)).values(used_at=now))


def remove(connection: Connection, digests: Sequence[str]) -> int:
    """How many were there."""
    begin_change(connection, RESPONSES)
    return _remove(connection, digests)


def remove_all(connection: Connection) -> int:
    """Nobody can open them any more; how many there were."""
    begin_change(connection, RESPONSES)
    connection.execute(delete(response_items))
    return connection.execute(delete(responses)).rowcount


def _remove(connection: Connection, digests: Sequence[str]) -> int:
    connection.execute(delete(response_items).where(response_items.c.response.in_(digests)))
    return connection.execute(delete(responses).where(responses.c.digest.in_(digests))).rowcount


def prune(connection: Connection, since: float, most: int) -> int:
    """Remove those that were not used since, and of the others, while they are more than `most` bytes, those that were
    not used for longest; how many."""
    begin_change(connection, RESPONSES)
    gone = list(connection.execute(select(responses.c.digest).where(responses.c.used_at <= since)).scalars())
    if (connection.execute(select(func.sum(responses.c.size))).scalar() or 0) > most:
        order = (responses.c.used_at.desc(), responses.c.digest)
        sums = select(responses.c.digest, func.sum(responses.c.size).over(order_by=order).label("so_far")).subquery()
        gone += connection.execute(select(sums.c.digest).where(sums.c.so_far > most)).scalars()
    return _remove(connection, sorted(set(gone))) if gone else 0
