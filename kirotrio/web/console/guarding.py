"""Who may see a page and send its forms: what stands ahead of every page of the console.

A page is `async (gateway, visit, **parts) -> Runs`; what a form sends goes to `async (gateway, visit, form, **parts)`.
`reads` and `changes` make routes of them; no page is listed in any other way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from kirotrio.access.members.outcomes import ConfirmationNeeded, SignInRefused
from kirotrio.errors import KirotrioError, PermissionDenied
from kirotrio.web.console.carrying import ENDED, came_from, carried, send_again, sign_in_page
from kirotrio.web.console.confirming import CONFIRM, confirm_page
from kirotrio.web.console.failures import failure, fault
from kirotrio.web.console.forms import TOKEN, Form, read_form
from kirotrio.web.console.live import gone, listens
from kirotrio.web.console.origin import FormOutdated, check_origin, check_token
from kirotrio.web.console.pages import redirect, said, with_next
from kirotrio.web.console.status import came_to, status_of
from kirotrio.web.console.visit import EVERYONE, Visit, open_visit, people_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Incoming, Reply, Route, Runs

Shows: TypeAlias = Callable[..., Awaitable[Runs]]

SIGN_IN: Final = "/console/sign-in"
AGAIN: Final = "own-password-again"
"""The field of the password that was asked for in between."""
ENROL: Final = "/console/me/second-factor"
"""All that is open to whoever has to set a second factor up first."""
ANYBODY: Final = None
"""In place of roles: nobody has to have signed in."""


def reads(path: str, shows: Shows, roles: frozenset[str] | None = EVERYONE) -> Route:
    """A page at this path, for these roles."""

    async def answer(gateway: Gateway, visit: Visit, **parts: str) -> Runs:
        return await shows(gateway, visit, **parts)

    return Route("GET", path, _guarded(answer, roles))


def changes(path: str, takes: Shows, roles: frozenset[str] | None = EVERYONE) -> Route:
    """Where a form of these roles goes: only from our own pages, with their token (`csrf`, or X-CSRF-Token of htmx)."""

    async def answer(gateway: Gateway, visit: Visit, **parts: str) -> Runs:
        form = await read_form(gateway, visit.incoming)
        try:
            check_token(visit.incoming.headers.get("x-csrf-token") or form(TOKEN), visit.csrf)
        except FormOutdated as error:
            # From one of our pages (`check_origin`), whose person signed in anew since: they see it, and send it.
            if roles is None or (kept := carried(visit, form)) is None:
                raise
            return await send_again(gateway, visit, kept, status_of(error))
        if roles is not None and AGAIN in form.fields:
            try:
                password = form.raw(AGAIN)
                visit.session = await (await people_of(gateway)).confirm(visit.signed_in, password, visit.address)
            except SignInRefused as error:
                return await _asking(gateway, visit, form, error, said(visit.speech, error.message))
        try:
            return await takes(gateway, visit, form, **parts)
        except ConfirmationNeeded as error:
            # A button is pressed once more. What htmx sends is for a part of a page, and no page can hold a file.
            if visit.partial or form.files or form.fields.keys() <= {TOKEN, AGAIN}:
                raise
            return await _asking(gateway, visit, form, error)

    return Route("POST", path, _guarded(answer, roles, form=True))


async def _asking(gateway: Gateway, visit: Visit, form: Form, error: KirotrioError, problem: str = "") -> Runs:
    """Who it is, asked for in between: the page holds what was entered, and sends it along with the password."""
    kept = [(name, value) for name, values in form.fields.items() if name not in (TOKEN, AGAIN) for value in values]
    return await confirm_page(gateway, visit, status_of(error), problem, kept=kept, again=AGAIN)


def _guarded(answer: Shows, roles: frozenset[str] | None, *, form: bool = False) -> Callable[..., Awaitable[Runs]]:
    async def endpoint(gateway: Gateway, incoming: Incoming, **parts: str) -> Runs:
        got = await shown(gateway, incoming, **parts)
        if isinstance(got, Reply) and got.status >= 400 and not incoming.passage.outcome:
            incoming.passage.refuse(came_to(got.status))  # as for a form's page that says what is wrong with it
        return got

    async def shown(gateway: Gateway, incoming: Incoming, **parts: str) -> Runs:
        visit: Visit | None = None
        try:
            if form:
                check_origin(incoming.headers)
            visit = await open_visit(gateway, incoming)
            if roles is not None:
                if listens(incoming) and not _may(visit, roles):
                    return gone(visit)
                if visit.session is None:
                    return await _to_sign_in(gateway, visit, form=form)
                if visit.session.needs_enrolment and not incoming.path.startswith(ENROL):
                    return redirect(visit, ENROL)
                if visit.session.user.role not in roles:
                    raise PermissionDenied("your role does not include this")
            return await answer(gateway, visit, **parts)
        except ConfirmationNeeded as error:
            return _to_confirm(visit, form=form) if visit is not None else failure(gateway, visit, incoming, error)
        except KirotrioError as error:
            return failure(gateway, visit, incoming, error)
        except Exception as error:
            return fault(gateway, visit, incoming, error)

    return endpoint


def _may(visit: Visit, roles: frozenset[str]) -> bool:
    return visit.may(roles) and not visit.signed_in.needs_enrolment


async def _to_sign_in(gateway: Gateway, visit: Visit, *, form: bool) -> Runs:
    """What was entered in a form is carried along. Nothing is done with it here, so its token does not count: that was
    of the sign-in that has ended."""
    if form and not visit.partial and (kept := carried(visit, await read_form(gateway, visit.incoming))) is not None:
        return sign_in_page(gateway, visit, kept.back, status=401, kept=kept)
    if visit.token and visit.waiting is None:
        visit.tell(ENDED, "note")
    address = came_from(visit) if form or visit.partial else visit.here
    return redirect(visit, with_next(SIGN_IN, address) if address else SIGN_IN)


def _to_confirm(visit: Visit, *, form: bool) -> Runs:
    """After a form, back to the page that it stands on: what it asked for has to be asked for again."""
    came_from = urlsplit(visit.incoming.headers.get("referer", "")).path
    return redirect(visit, with_next(CONFIRM, came_from if form or visit.partial else visit.here))
