"""Signing in and out: the password, the second factor, the password again for what needs it."""

from __future__ import annotations

from kirotrio.access.members.outcomes import Entered, SignedIn, SignInRefused
from kirotrio.web.console import cookies
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import ANYBODY, CONFIRM, SIGN_IN, changes, reads
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
    return _sign_in_page(gateway, visit, next_of(visit))


async def take_password(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    people, name = await people_of(gateway), form("name", most=200)
    try:
        entered = await people.sign_in(name, form.raw("password"), visit.address, visit.agent)
    except SignInRefused as error:
        problem = said(visit.speech, error.message)
        return _sign_in_page(gateway, visit, local(form("next")), name, problem, status_of(error))
    return enter(gateway, visit, entered, form("next"))


def _sign_in_page(
    gateway: Gateway, visit: Visit, address: str, name: str = "", problem: str = "", status: int = 200
) -> Runs:
    asking = gateway.settings.users.registration == "approval"
    return page(gateway, visit, "sign_in.html", status=status, next=address, name=name, problem=problem, asking=asking)


def enter(gateway: Gateway, visit: Visit, entered: Entered, address: str = HOME) -> Runs:
    """Have the browser keep the sign-in, and go on: to the second factor where it is still to come."""
    if isinstance(entered, SignedIn):
        visit.keep(cookies.SESSION, entered.token, gateway.settings.users.session_lifetime)
        return redirect(visit, address)
    visit.keep(cookies.SESSION, entered.token)
    return redirect(visit, with_next(CODE, address))


async def code(gateway: Gateway, visit: Visit) -> Runs:
    if visit.waiting is None:
        return redirect(visit, SIGN_IN)
    return page(gateway, visit, "second_factor.html", next=next_of(visit), problem="")


async def take_code(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    if visit.waiting is None:
        return redirect(visit, SIGN_IN)
    people = await people_of(gateway)
    try:
        entered = await people.second_factor(visit.token, form("code", most=40), visit.address, visit.agent)
    except SignInRefused as error:
        problem, next_page = said(visit.speech, error.message), local(form("next"))
        return page(gateway, visit, "second_factor.html", status=status_of(error), next=next_page, problem=problem)
    return enter(gateway, visit, entered, form("next"))


async def sign_out(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    if session := visit.session or visit.waiting:
        await (await people_of(gateway)).sign_out(session, visit.address)
    visit.keep(cookies.SESSION, "", 0)
    visit.tell("You are signed out.")
    return redirect(visit, SIGN_IN)


async def confirm(gateway: Gateway, visit: Visit) -> Runs:
    return page(gateway, visit, "confirm.html", next=next_of(visit), problem="")


async def take_confirmation(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    people = await people_of(gateway)
    try:
        await people.confirm(visit.signed_in, form.raw("password"), visit.address)
    except SignInRefused as error:
        problem, next_page = said(visit.speech, error.message), local(form("next"))
        return page(gateway, visit, "confirm.html", status=status_of(error), next=next_page, problem=problem)
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
)
