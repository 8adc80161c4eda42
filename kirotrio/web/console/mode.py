"""For whom the gateway works: open, self-use, maintenance."""

from __future__ import annotations

from typing import Final

from kirotrio.access.modes import LONGEST_MESSAGE, ServiceMode
from kirotrio.errors import BodyInvalid, SettingsError
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.pages import page, redirect, said
from kirotrio.web.console.visit import OPERATOR, Visit
from kirotrio.web.console.words import MODES
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

MODE: Final = "/console/mode"

_MODES: Final = (
    ("open", MODES["open"], N_("Every valid key is let in.")),
    (
        "self-use",
        MODES["self-use"],
        N_("Members' keys are not let in; all others are."),
    ),
    ("maintenance", MODES["maintenance"], N_("No API is answered; what runs already goes on to its end.")),
)


async def show(gateway: Gateway, visit: Visit) -> Runs:
    await gateway.modes.look()
    now = gateway.modes.now
    return _page(gateway, visit, now.mode.value, now.message)


async def take(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    chosen, message = form("mode", most=20), form("message", most=4 * LONGEST_MESSAGE)
    if chosen not in [name for name, _, _ in _MODES]:
        raise BodyInvalid("mode", "must be open, self-use or maintenance")
    try:
        await gateway.modes.change(visit.actor, ServiceMode(chosen), message)
    except SettingsError as error:
        return _page(gateway, visit, chosen, message, said(visit.speech, error.message), 400)
    visit.tell("The mode was changed.")
    return redirect(visit, MODE)


def _page(gateway: Gateway, visit: Visit, chosen: str, message: str, problem: str = "", status: int = 200) -> Runs:
    return page(
        gateway,
        visit,
        "mode.html",
        status=status,
        modes=_MODES,
        chosen=chosen,
        message=message,
        since=gateway.modes.now.since or None,
        longest=LONGEST_MESSAGE,
        problem=problem,
    )


ROUTES = (reads(MODE, show, OPERATOR), changes(MODE, take, OPERATOR))
