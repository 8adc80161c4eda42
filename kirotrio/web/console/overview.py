"""The first page: what was asked in a span of time, and what runs at this moment.

Operators and viewers see the numbers of the whole team, members those of their own keys.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from kirotrio.classes import frozen
from kirotrio.errors import Overloaded
from kirotrio.relay.streams import LiveState
from kirotrio.store.overview import Overview, Share
from kirotrio.web import live
from kirotrio.web.console.guarding import reads
from kirotrio.web.console.live import Live
from kirotrio.web.console.pages import HOME, environment, page
from kirotrio.web.console.pasting import first_request
from kirotrio.web.console.requests import REQUESTS
from kirotrio.web.console.spans import KINDS, SPANS, Asked
from kirotrio.web.console.visit import EVERYONE, OPERATOR, OWNERS, TEAM, Visit, people_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

EVENTS: Final = "/console/overview/events"
_SHARES: Final = 20
_EVERY: Final = 2.0
"""Seconds between two looks at what runs; for a member each asks the store which keys are theirs."""


@frozen
class Past:
    """What the page shows of the past. `choices`: ids and names by `KINDS`. `ever`: whether there is any request that
    this visit may see, of whatever time."""

    sums: Overview
    choices: Mapping[str, Sequence[tuple[str, str]]]
    ever: bool


@frozen
class Now:
    """What runs at this moment. `lately`: answers that came to their end in the last minute; None for a member, whose
    own are not counted apart. `usable`: accounts that can answer, of `accounts`."""

    running: int
    queued: int
    usable: int
    accounts: int
    lately: int | None


async def show(gateway: Gateway, visit: Visit) -> Runs:
    asked = Asked.of(visit.incoming.arguments)
    past = await _past(gateway, visit, asked)
    return page(
        gateway,
        visit,
        "overview.html",
        asked=asked,
        spans=SPANS,
        past=past,
        sums=past.sums.total,
        shares={"model": past.sums.models, "account": past.sums.accounts, "key": past.sums.keys},
        most=_SHARES,
        own=owner_of(visit) is not None,
        now=await _now_shown(gateway, visit),
        address=lambda **changes: asked.address(HOME, **changes),
        leads_to=lambda kind, share: leads_to(visit, asked, kind, share),
        listed=lambda **more: f"{REQUESTS}?{urlencode({'span': asked.span.key, **asked.only, **more})}",
        may_list=visit.may(OWNERS),
        first=first_request(visit) if not past.ever and visit.may(OWNERS) else "",
    )


async def events(gateway: Gateway, visit: Visit) -> Runs:
    async def tell() -> dict[str, str]:
        return {"now": await _now_shown(gateway, visit)}

    return Live(gateway, visit, tell, every=_EVERY)


def owner_of(visit: Visit) -> str | None:
    """Of whose keys this visit sees the numbers; None: everybody's."""
    return None if visit.may(TEAM) else visit.user.id


def leads_to(visit: Visit, asked: Asked, kind: str, share: Share) -> str:
    """Where the name in a table leads: to its requests, for a viewer, who sees none, to its numbers; "" for no name."""
    if not share.id:
        return ""
    if visit.may(OWNERS):
        return f"{REQUESTS}?{urlencode({'span': asked.span.key, **asked.only, kind: share.id})}"
    return asked.address(HOME, **{kind: share.id})


async def _past(gateway: Gateway, visit: Visit, asked: Asked) -> Past:
    owner = owner_of(visit)
    chosen = asked.chosen(time.time(), owner)

    def work(connection: Connection) -> Past:
        from kirotrio.store import overview_rows

        sums = overview_rows.overview(connection, chosen, _SHARES)
        shares = {"model": sums.models, "account": sums.accounts, "key": sums.keys}
        choices: dict[str, Sequence[tuple[str, str]]] = {}
        for kind, by in KINDS.items():
            if kind in asked.only or len(shares[kind]) == _SHARES:  # else the table has all there is
                choices[kind] = overview_rows.choices(connection, chosen, by)
            else:
                choices[kind] = [(share.id, share.name) for share in shares[kind] if share.id]
            if kind in asked.only and asked.only[kind] not in dict(choices[kind]):
                choices[kind] = [*choices[kind], (asked.only[kind], asked.only[kind])]
        ever = bool(sums.total.requests) or overview_rows.any_at_all(connection, owner)
        return Past(sums, choices, ever)

    return await (await people_of(gateway)).database.read(work)


async def _now_shown(gateway: Gateway, visit: Visit) -> Any:
    """The part of the page that changes, as markup."""
    from markupsafe import Markup

    try:
        now = await now_of(gateway, visit)
    except Overloaded:
        now = None
    shown = (
        environment().get_template("overview_now.html").render(_=visit.speech, now=now, operator=visit.may(OPERATOR))
    )
    return Markup(shown)  # noqa: S704 - what the template has escaped


async def now_of(gateway: Gateway, visit: Visit) -> Now:
    """Raises Overloaded where the other processes do not answer, StoreUnavailable for a member."""
    found, owner = await live.snapshot(gateway), owner_of(visit)
    answers, members = found.answers, gateway.accounts.present()
    if owner is not None:
        own = await _keys_of(gateway, owner)
        answers = [answer for answer in answers if answer.key_id in own]
        members = [member for member in members if member.is_open_to(owner)]
    names = {member.name for member in members}
    accounts = [account for account in found.accounts if account.name in names]
    return Now(
        running=len(answers) + (found.untold if owner is None else 0),
        queued=sum(answer.state == LiveState.QUEUED.value for answer in answers),
        usable=sum(account.state == "ready" for account in accounts),
        accounts=len(accounts),
        lately=found.lately.answers if owner is None else None,
    )


async def _keys_of(gateway: Gateway, owner: str) -> set[str]:
    def work(connection: Connection) -> set[str]:
        from kirotrio.store import key_rows

        return key_rows.ids_of(connection, owner)

    return await (await people_of(gateway)).database.read(work)


ROUTES = (reads(HOME, show, EVERYONE), reads(HOME + "/", show, EVERYONE), reads(EVENTS, events, EVERYONE))
