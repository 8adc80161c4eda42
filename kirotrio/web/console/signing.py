"""Signing in and out: the password, the second factor, the password again for what needs it."""

from __future__ import annotations

from kirotrio.access.members.outcomes import Entered, NeedsSecondFactor, SignedIn, SignInRefused
from kirotrio.web.console import cookies
from kirotrio.web.console.carrying import CARRIED, Carried, send_again, sign_in_page, unpacked
from kirotrio.web.console.confirming import CONFIRM, DONE, confirm_page
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import ANYBODY, SIGN_IN, changes, reads
from kirotrio.web.console.pages import HOME, local, page, redirect, said, with_next
from kirotrio.web.console.status import status_of
from kirotrio.web.console.visit import EVERYONE, Visit, people_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

SET_UP = "/console/setup"
CODE = SIGN_IN + "/code"


async def sign_in(gateway: Gateway, visit: Visit) -> Runs:
    if visit.session is not None:
        return redirect(visit, next_of(visit))
    if not await (await people_of(gateway)).has_operator():
        return redirect(visit, SET_UP)
    return sign_in_page(gateway, visit, next_of(visit))


async def take_password(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    people, name = await people_of(gateway), form("name", most=200)
    try:
        entered = await people.sign_in(name, form.raw("password"), visit.address, visit.agent)
    except SignInRefused as error:
        problem = said(visit.speech, error.message)
        kept = unpacked(form.raw(CARRIED))
        return sign_in_page(gateway, visit, local(form("next")), name, problem, status_of(error), kept)
    kept = unpacked(form.raw(CARRIED))
    if kept is not None and isinstance(entered, NeedsSecondFactor):
        # No redirect: what is carried would not come along. The page's token is that of the session that waits.
        waiting = await people.session(entered.token, waiting=True)
        if waiting is not None:
            visit.keep(cookies.SESSION, entered.token)
            visit.waiting, visit.csrf = waiting, waiting.csrf
            return _code_page(gateway, visit, local(form("next")), kept=kept)
    return await enter(gateway, visit, entered, form("next"), kept)


async def enter(
    gateway: Gateway, visit: Visit, entered: Entered, address: str = HOME, kept: Carried | None = None
) -> Runs:
    """Have the browser keep the sign-in, and go on: to the second factor where it is still to come.

    `kept`: a form that waits for the sign-in, and is shown in the end.
    """
    if isinstance(entered, SignedIn):
        visit.keep(cookies.SESSION, entered.token, gateway.settings.users.session_lifetime)
        if kept is None or entered.session.needs_enrolment:
            return redirect(visit, address)
        visit.session, visit.csrf, visit.waiting = entered.session, entered.session.csrf, None
        return await send_again(gateway, visit, kept)
    visit.keep(cookies.SESSION, entered.token)
    return redirect(visit, with_next(CODE, address))


async def code(gateway: Gateway, visit: Visit) -> Runs:
    if visit.waiting is None:
        return redirect(visit, SIGN_IN)
    return _code_page(gateway, visit, next_of(visit))


async def take_code(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    if visit.waiting is None:
        return redirect(visit, SIGN_IN)
    people = await people_of(gateway)
    try:
        entered = await people.second_factor(visit.token, form("code", most=40), visit.address, visit.agent)
    except SignInRefused as error:
        problem, kept = said(visit.speech, error.message), unpacked(form.raw(CARRIED))
        return _code_page(gateway, visit, local(form("next")), problem, status_of(error), kept)
    return await enter(gateway, visit, entered, form("next"), unpacked(form.raw(CARRIED)))


def _code_page(
    gateway: Gateway, visit: Visit, address: str, problem: str = "", status: int = 200, kept: Carried | None = None
) -> Runs:
    held = "" if kept is None else kept.packed()
    return page(gateway, visit, "second_factor.html", status=status, next=address, problem=problem, carried=held)


async def sign_out(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    if session := visit.session or visit.waiting:
        await (await people_of(gateway)).sign_out(session, visit.address)
    visit.keep(cookies.SESSION, "", 0)
    visit.tell("You are signed out.")
    return redirect(visit, SIGN_IN)


async def confirm(gateway: Gateway, visit: Visit) -> Runs:
    return await confirm_page(gateway, visit, next=next_of(visit))


async def confirmed(gateway: Gateway, visit: Visit) -> Runs:
    """The end of a tab in which somebody has confirmed who they are."""
    if not (await people_of(gateway)).is_confirmed(visit.signed_in):
        return redirect(visit, CONFIRM)
    return page(gateway, visit, "confirmed.html")


async def take_confirmation(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    people = await people_of(gateway)
    try:
        await people.confirm(visit.signed_in, form.raw("password"), visit.address)
    except SignInRefused as error:
        problem, next_page = said(visit.speech, error.message), local(form("next"))
        return await confirm_page(gateway, visit, status_of(error), problem, next=next_page)
    return redirect(visit, form("next"))


def next_of(visit: Visit) -> str:
    """Where to go once signed in."""
    return local(visit.incoming.arguments.get("next", [""])[-1])


ROUTES = (
    reads(SIGN_IN, sign_in, ANYBODY),
    changes(SIGN_IN, take_password, ANYBODY),
    reads(CODE, code, ANYBODY),
    changes(CODE, take_code, ANYBODY),
    changes("/console/sign-out", sign_out, ANYBODY),
    reads(CONFIRM, confirm, EVERYONE),
    changes(CONFIRM, take_confirmation, EVERYONE),
    reads(DONE, confirmed, EVERYONE),
)
