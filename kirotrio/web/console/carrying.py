"""What was entered in a form, carried through a sign-in: the session had ended by the time when the form was sent.

The pages in between hold it; nothing of it is kept here. Secrets are never carried, and nothing is ever sent without
the person pressing a button.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import orjson
from attrs import field

from kirotrio.classes import frozen
from kirotrio.web.console.forms import TOKEN, Form
from kirotrio.web.console.languages import N_
from kirotrio.web.console.pages import HOME, local, page
from kirotrio.web.console.recalled import recalled
from kirotrio.web.console.visit import Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

CARRIED: Final = "carried"
"""The field of the sign-in's forms that holds what is carried."""
SECRET: Final = frozenset(
    {"password", "again", "current", "own-password-again", "code", "key", "api_key", "document", "answer", "body-file"}
)
"""Fields that hold what nobody else may read, whichever form they stand on."""
_NOT_ENTERED: Final = frozenset(
    {TOKEN, "next", "do", CARRIED, "anew", "from", "invitation", "lent", "provider", "session", "setup", "subject"}
)
"""Of the form itself, or of its button: where nothing else is sent, nothing was entered."""
_LARGEST: Final = 100_000
"""Characters: what is larger was not typed."""
ENDED: Final = N_("Your sign-in had ended; sign in again.")
ENDED_KEPT: Final = N_("Your sign-in had ended; sign in again and what you entered is still here.")


@frozen
class Carried:
    """A form that was not taken. `to`: where it goes; `back`: the page that it stands on; `fields`: names and values;
    `cut`: whether it had secrets or a file, which are to be entered again."""

    to: str
    back: str
    fields: Sequence[tuple[str, str]] = field(repr=False)
    cut: bool = False

    def packed(self) -> str:
        return orjson.dumps([self.to, self.back, self.fields, self.cut]).decode()


def carried(visit: Visit, form: Form) -> Carried | None:
    """None where nothing was entered that could be lost, and for what htmx sends, which is for a part of a page."""
    fields = [
        (name, value)
        for name, values in form.fields.items()
        if name not in SECRET and name not in (TOKEN, CARRIED)
        for value in values
    ]
    entered = any(name not in _NOT_ENTERED and value for name, value in fields)
    if visit.partial or not entered or sum(len(name) + len(value) for name, value in fields) > _LARGEST:
        return None
    cut = any(form.raw(name) for name in SECRET) or any(form.files.values())
    return Carried(visit.path, came_from(visit) or HOME, fields, cut)


def unpacked(text: str) -> Carried | None:
    """What `packed` gave, None for anything else: it comes from the browser, and leads nowhere but to our pages."""
    if not text or len(text) > 8 * _LARGEST:
        return None
    try:
        to, back, fields, cut = orjson.loads(text)
        kept = [(str(name), str(value)) for name, value in fields if name not in SECRET and name != TOKEN]
    except (ValueError, TypeError):
        return None
    if not isinstance(to, str) or not isinstance(back, str) or local(to) != to:
        return None
    return Carried(to, local(back), kept, bool(cut))


def came_from(visit: Visit) -> str:
    """The page of ours that the form stands on, with what was asked of it; "" where the browser does not tell."""
    parts = urlsplit(visit.incoming.headers.get("referer", ""))
    there = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return there if there and local(there) == there else ""


def sign_in_page(
    gateway: Gateway,
    visit: Visit,
    address: str,
    name: str = "",
    problem: str = "",
    status: int = 200,
    kept: Carried | None = None,
) -> Runs:
    """`address`: where to go afterwards; with `kept` the form that waits is shown instead."""
    return page(
        gateway,
        visit,
        "sign_in.html",
        status=status,
        next=address,
        name=name,
        problem=problem,
        asking=gateway.settings.users.registration == "approval",
        carried="" if kept is None else kept.packed(),
        ended=ENDED_KEPT,
    )


async def send_again(gateway: Gateway, visit: Visit, kept: Carried, status: int = 200) -> Runs:
    """What waits to be sent, with the token of the sign-in that holds now: the person sees it, and sends it or not."""
    return page(
        gateway,
        visit,
        "send_again.html",
        status=status,
        to=kept.to,
        back=kept.back,
        kept=kept.fields,
        shown=await recalled(gateway, visit, kept.fields, _NOT_ENTERED),
        cut=kept.cut,
    )
