"""The answers that run right now: they change while one looks, and one of them can be ended.

An operator sees and ends all of them, a member those that came with their own keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from kirotrio.relay.streams import LiveRow
from kirotrio.web import live
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.live import Live
from kirotrio.web.console.pages import environment, page, redirect
from kirotrio.web.console.visit import OPERATOR, OWNERS, Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

STREAMS: Final = "/console/streams"
_MOST: Final = 200
"""Answers that are shown; of more, how many there are."""
_LATE: Final = 2.5
"""How many times its usual wait a gateway may keep silent until that is said of it."""

_STATES: Final[Mapping[str, str]] = {
    "queued": N_("Waits for a place"),
    "preparing": N_("Prepares"),
    "asked": N_("Has asked"),
    "accepted": N_("Taken on"),
    "answering": N_("Answers"),
    "finishing": N_("Finishes"),
    "ending": N_("Is being ended"),
}


async def show(gateway: Gateway, visit: Visit) -> Runs:
    return page(
        gateway,
        visit,
        "streams.html",
        everybodys=_owner(visit) is None,
        answers=await _answers(gateway, visit),
    )


async def events(gateway: Gateway, visit: Visit) -> Runs:
    async def tell() -> dict[str, str]:
        return {"answers": await _answers(gateway, visit)}

    return Live(gateway, visit, tell)


async def end(gateway: Gateway, visit: Visit, form: Form, request_id: str) -> Runs:
    if await live.cancel(gateway, visit.actor, request_id, _owner(visit)):
        visit.tell(N_("The answer was ended."))
    else:
        visit.tell(N_("This answer had come to its end already."))
    return redirect(visit, STREAMS)


async def _answers(gateway: Gateway, visit: Visit) -> Any:
    """The part of the page that changes, as markup. Raises Overloaded where the other processes do not answer."""
    from markupsafe import Markup

    owner, found = _owner(visit), await live.snapshot(gateway)
    rows = [row for row in found.answers if owner in (None, row.owner)]
    template = environment().get_template("streams_rows.html")
    shown = template.render(
        _=visit.speech,
        rows=rows[:_MOST],
        more=max(0, len(rows) - _MOST) + (found.untold if owner is None else 0),
        only=found.gateway,
        gateways=found.gateways,
        late=late(found.gateways, gateway.settings.store.look_every),
        seen=seen,
        states=_STATES,
        age=age,
        csrf=visit.csrf,
        everybodys=owner is None,
    )
    return Markup(shown)  # noqa: S704 - what the template has escaped


def _owner(visit: Visit) -> str | None:
    """Whose answers this visit may see and end; None: everybody's."""
    return None if visit.may(OPERATOR) else visit.user.id


def age(row: LiveRow) -> str:
    """Minutes and seconds."""
    minutes, seconds = divmod(int(row.age), 60)
    return f"{minutes}:{seconds:02}"


def late(gateways: Sequence[live.LiveGateway], every: float) -> list[live.LiveGateway]:
    """Those that are not heard of; `every`: seconds between two signs of life."""
    return [one for one in gateways if one.told > _LATE * every]


def seen(told: float) -> int:
    """Whole seconds that what is told is old at most."""
    return max(1, math.ceil(told))


ROUTES = (
    reads(STREAMS, show, OWNERS),
    reads(f"{STREAMS}/events", events, OWNERS),
    changes(f"{STREAMS}/<request_id>/cancel", end, OWNERS),
)
