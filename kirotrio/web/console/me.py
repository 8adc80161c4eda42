"""One's own page: name, password, second factor, sign-ins."""

from __future__ import annotations

import segno

from kirotrio.access.members.outcomes import ConfirmationNeeded, SignInRefused
from kirotrio.errors import SettingsError
from kirotrio.web.console.forms import Form, entered
from kirotrio.web.console.guarding import ENROL, changes, reads
from kirotrio.web.console.pages import page, redirect, said
from kirotrio.web.console.status import status_of
from kirotrio.web.console.visit import Visit, people_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

ME = "/console/me"


async def me(gateway: Gateway, visit: Visit, problem: str = "", status: int = 200, form: Form | None = None) -> Runs:
    """`form`: the name that was entered, where there is a problem with it."""
    people = await people_of(gateway)
    sessions = await people.sessions_of(visit.user.id)
    identities = await people.identities_of(visit.user.id)
    return page(
        gateway,
        visit,
        "me.html",
        status=status,
        sessions=sessions,
        identities=identities,
        problem=problem,
        entered=entered(form, display=visit.user.display),
        least=gateway.settings.users.password_length,
    )


async def take_name(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    try:
        await (await people_of(gateway)).set_display(visit.signed_in, form("display"), visit.address)
    except SettingsError as error:
        return await me(gateway, visit, said(visit.speech, error.message), status_of(error), form)
    visit.tell("Your name was changed.")
    return redirect(visit, ME)


async def take_password(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    if form.raw("password") != form.raw("again"):
        return await me(gateway, visit, visit.speech("The two passwords are not the same."), 400)
    people = await people_of(gateway)
    try:
        await people.change_password(visit.signed_in, form.raw("current"), form.raw("password"), visit.address)
    except (SignInRefused, SettingsError) as error:
        return await me(gateway, visit, said(visit.speech, error.message), status_of(error))
    visit.tell("Your password was changed; all other sign-ins have ended.")
    return redirect(visit, ME)


async def end_session(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    people = await people_of(gateway)
    if form("session") == "others":
        await people.revoke_sessions(visit.actor, visit.user, besides=visit.signed_in.id)
    else:
        await people.revoke_session(visit.actor, form("session", most=60), visit.user.id)
    visit.tell("The sign-in has ended.")
    return redirect(visit, ME)


async def second_factor(gateway: Gateway, visit: Visit, problem: str = "", status: int = 200) -> Runs:
    people = await people_of(gateway)
    if not people.is_confirmed(visit.signed_in):
        raise ConfirmationNeeded
    waiting = await people.pending_second_factor(visit.signed_in)
    picture = segno.make(waiting.address, error="m").svg_data_uri(scale=5, border=4) if waiting is not None else ""
    return page(
        gateway, visit, "enrol.html", status=status, waiting=waiting, picture=picture, problem=problem, codes=()
    )


async def take_second_factor(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    """`do`: begin, enable, or disable."""
    people, session = await people_of(gateway), visit.signed_in
    if form("do") == "begin":
        await people.start_second_factor(session)
        return redirect(visit, ENROL)
    if form("do") == "disable":
        await people.disable_second_factor(session, visit.address)
        visit.tell("The second factor is off.")
        return redirect(visit, ME)
    try:
        codes = await people.enable_second_factor(session, form("code", most=40), visit.address)
    except SignInRefused as error:
        return await second_factor(gateway, visit, said(visit.speech, error.message), status_of(error))
    return page(gateway, visit, "enrol.html", waiting=None, picture="", problem="", codes=codes)


ROUTES = (
    reads(ME, me),
    changes(ME + "/name", take_name),
    changes(ME + "/password", take_password),
    changes(ME + "/sessions", end_session),
    reads(ENROL, second_factor),
    changes(ENROL, take_second_factor),
)
