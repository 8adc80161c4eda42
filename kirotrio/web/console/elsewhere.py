"""Signing in elsewhere: the way there, the way back, and whose an identity is.

The way there is a link and no form, since a form's answer may not lead to another site (Content-Security-Policy).
"""

from __future__ import annotations

from typing import Final

from kirotrio.access.elsewhere.identity import ElsewhereFailed, Identity, Trouble
from kirotrio.access.elsewhere.journey import Journey, local_path
from kirotrio.access.elsewhere.provider import Provider
from kirotrio.access.elsewhere.providers import redirect_uri
from kirotrio.web.console import cookies
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import ANYBODY, changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.origin import check_token, token_of_link
from kirotrio.web.console.pages import page, page_headers, redirect
from kirotrio.web.console.signing import enter
from kirotrio.web.console.visit import EVERYONE, Visit, people_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Reply, Runs

IDENTITIES: Final = "/console/me/identities"

_SENTENCES: Final = {
    Trouble.DECLINED: (403, N_("You were not signed in, since that was not agreed to there. You can try again.")),
    Trouble.EXPIRED: (
        400,
        N_("This sign-in took too long, was used already, or was begun in another window. Begin it once more here."),
    ),
    Trouble.UNREACHABLE: (502, N_("{provider} does not answer at the moment. Try again in a while.")),
    Trouble.MISCONFIGURED: (
        500,
        N_(
            "Signing in with {provider} is not set up rightly here. The gateway's log tells its operator what is wrong."
        ),
    ),
    Trouble.UNTRUSTED: (403, N_("What {provider} sent does not prove who you are, so you were not signed in.")),
    Trouble.NOT_ADMITTED: (403, N_("{provider} knows you, but the rules here do not let you in. Ask the operator.")),
}
"""Status and sentence by trouble. What was wrong in detail is in the log: it is the operator's, not a stranger's."""


async def depart(gateway: Gateway, visit: Visit, provider: str) -> Runs:
    """Send the browser to the provider. `next` and `invitation` come along; with `attach`, a token of ours, what comes
    back is to be the signed-in user's from then on; with `confirm`, another one, it is to be theirs already."""
    elsewhere = gateway.elsewhere
    one = elsewhere.provider(provider)
    asked = {name: values[-1] for name, values in visit.incoming.arguments.items()}
    user_id = ""
    if "attach" in asked:
        if not (await people_of(gateway)).is_confirmed(visit.signed_in):
            return redirect(visit, IDENTITIES)
        check_token(asked["attach"], token_of_link("attach", visit.csrf))
        user_id = visit.user.id
    elif "confirm" in asked:
        check_token(asked["confirm"], token_of_link("confirm", visit.csrf))
        user_id = visit.user.id
    patience = gateway.settings.deadlines.login
    journey = Journey(
        one.name,
        elsewhere.now() + patience,
        IDENTITIES if "attach" in asked else local_path(asked.get("next", "")),
        user_id,
        asked.get("invitation", "")[:200],
        confirms="confirm" in asked and "attach" not in asked,
    )
    try:
        async with elsewhere.place():
            url = await one.departure(journey, _back(gateway, visit, one), elsewhere.fetch)
    except ElsewhereFailed as error:
        return _failed(gateway, visit, one, error)
    visit.keep(cookies.ELSEWHERE, await elsewhere.pack(journey), patience)
    return Reply(b"", 303, {**page_headers(visit.secure), "location": url}, cookies=visit.keeps)


async def arrive(gateway: Gateway, visit: Visit, provider: str) -> Runs:
    """Take the browser back. A journey counts once: whatever comes of it, its cookie goes."""
    elsewhere = gateway.elsewhere
    one = elsewhere.provider(provider)
    asked = {name: values[-1] for name, values in visit.incoming.arguments.items()}
    sealed = cookies.read(visit.incoming.all("cookie"), cookies.ELSEWHERE, secure=visit.secure)
    visit.keep(cookies.ELSEWHERE, "", 0)
    try:
        journey = await elsewhere.unpack(sealed)
        journey.check_return(one.name, asked.get("state", ""), elsewhere.now())
        async with elsewhere.place():
            found = await one.arrival(journey, asked, _back(gateway, visit, one), elsewhere.fetch)
    except ElsewhereFailed as error:
        return _failed(gateway, visit, one, error)
    if journey.user_id:
        return await _come_back(gateway, visit, journey, one, found)
    people = await people_of(gateway)
    outcome = await people.sign_in_as(
        found.provider,
        found.subject,
        shown=found.shown,
        name=found.name,
        email=found.email,
        invitation=journey.invitation,
        address=visit.address,
        agent=visit.agent,
    )
    return await enter(gateway, visit, outcome, journey.next)


async def identities(gateway: Gateway, visit: Visit) -> Runs:
    """Who the signed-in user is elsewhere. The password is asked for here and not on the way to a provider: after a
    form, browsers go to no other site."""
    people = await people_of(gateway)
    people.require_confirmed(visit.signed_in)
    providers = gateway.elsewhere.providers.values()
    return page(
        gateway,
        visit,
        "identities.html",
        identities=await people.identities_of(visit.user.id),
        labels={one.key: one.label for one in providers},
        providers=list(providers),
        attach=token_of_link("attach", visit.csrf),
    )


async def detach(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    people = await people_of(gateway)
    if await people.detach_identity(visit.signed_in, form("provider"), form("subject"), visit.address):
        visit.tell(N_("You are no longer known by that sign-in."))
    return redirect(visit, IDENTITIES)


async def _come_back(gateway: Gateway, visit: Visit, journey: Journey, one: Provider, found: Identity) -> Runs:
    """Of somebody who had signed in when they left."""
    if visit.session is None or visit.user.id != journey.user_id:
        error = ElsewhereFailed("whoever began this is not signed in any more", Trouble.EXPIRED)
        return _failed(gateway, visit, one, error)
    people = await people_of(gateway)
    if journey.confirms:
        await people.confirm_as(visit.session, found.provider, found.subject)
        return redirect(visit, journey.next)
    await people.attach_identity(visit.session, found.provider, found.subject, found.shown, visit.address)
    visit.tell(N_("From now on you can sign in with {provider}."), provider=one.label)
    return redirect(visit, journey.next)


def _back(gateway: Gateway, visit: Visit, one: Provider) -> str:
    public_url = gateway.settings.sign_in.public_url
    return redirect_uri(public_url, visit.incoming.headers.get("host", ""), one.name)


def _failed(gateway: Gateway, visit: Visit, one: Provider, error: ElsewhereFailed) -> Reply:
    gateway.log.warning(
        "sign-in elsewhere failed",
        provider=one.name,
        trouble=error.trouble.value,
        reason=error.message,
        address=visit.address,
    )
    status, sentence = _SENTENCES[error.trouble]
    message = visit.speech(sentence, provider=one.label)
    return page(gateway, visit, "elsewhere_failed.html", status=status, message=message)


ROUTES = (
    reads("/console/sign-in/<provider>", depart, ANYBODY),
    reads("/console/sign-in/<provider>/callback", arrive, ANYBODY),
    reads(IDENTITIES, identities, EVERYONE),
    changes(f"{IDENTITIES}/detach", detach, EVERYONE),
)
