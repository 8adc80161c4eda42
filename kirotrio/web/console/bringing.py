"""Bringing accounts: signing in to Kiro, and importing sign-ins that are at hand. Each runs while its person looks on.

What a member brings is theirs, and private until they lend it. Operators may bring accounts for the team, and look for
sign-ins on the gateway's own machine.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from kirotrio.errors import BodyInvalid, Cause, KirotrioError, NotFound, PermissionDenied
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.live import OVER, Live
from kirotrio.web.console.pages import environment, page, redirect, said, with_csrf, words
from kirotrio.web.console.status import status_of
from kirotrio.web.console.visit import OWNERS, Visit
from kirotrio.web.console.words import ACCOUNT_KINDS, WAYS, WHOSE
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

if TYPE_CHECKING:
    from kirotrio.accounts.sign_in import SignInPlan
    from kirotrio.store.account_record import AccountRecord
    from kirotrio.web.bringing.importing import Items
    from kirotrio.web.bringing.signing_in import Bringer
    from kirotrio.web.bringing.tasks import View

ACCOUNTS: Final = "/console/accounts"
SIGN_IN: Final = ACCOUNTS + "/sign-in"
IMPORT: Final = ACCOUNTS + "/import"
RUNNING: Final = ACCOUNTS + "/bringing"

_SOCIAL: Final = ("google", "github")
SQLITE: Final = b"SQLite format 3\0"
OUTCOMES: Final[Mapping[str, str]] = {
    "imported": N_("Imported"),
    "renewed": N_("Renewed"),
    "already_there": N_("There already"),
    "refused": N_("Refused"),
    "undone": N_("Not done"),
}
_WOULD: Final[Mapping[str, str]] = {
    **OUTCOMES,
    "imported": N_("Would be imported"),
    "renewed": N_("Would be renewed"),
    "refused": N_("Would be refused"),
}
"""Of a preview: nothing has happened yet."""
_TONES: Final = {"imported": "good", "renewed": "good", "refused": "bad", "undone": "warn"}
_GONE: Final = N_(
    "this sign-in or import is not known any more: it has been over for a while, or ended with the gateway that ran it"
)
_FILE: Final = N_("the file")
_PASTED: Final = N_("what was pasted")
FROM_BELOW: Final = (
    N_("not checked, since no access token that is still good is there and nothing is refreshed now"),
    N_("the same person's"),
    N_("it is empty; JSON or JSON Lines was expected, with a refreshToken or apiKey in it"),
    _GONE,
    N_("this is none of the answers"),
    N_("nothing is asked at present; look once more"),
    N_("nobody answered in time, so nothing was kept; begin once more"),
    N_("too many sign-ins and imports are under way; finish or cancel one of them first"),
    N_("something went wrong here; the gateway's log has the details"),
    N_("this is not the address that this sign-in ends at; copy the whole of it"),
    N_("Nobody confirmed the sign-in in time. Begin once more to have a new code."),
    N_("The sign-in was refused in the browser, so nothing was kept. Begin once more if that was not meant."),
    N_("That is no Kiro API key: one begins with ksk_. Make one in the Kiro portal."),
    N_(
        "this sign-in is an account already that is not yours here, so nothing was changed; an operator can give it to "
        "you"
    ),
)
"""What is said by those who do the work: `pages.said` looks it up."""


async def begin(gateway: Gateway, visit: Visit) -> Runs:
    """The dialog as a page: for who has no script, and for an account that is to be signed in anew."""
    asked = visit.incoming.arguments
    there = _account(gateway, visit, asked["again"][-1]) if asked.get("again") else None
    return _sign_in_page(gateway, visit, None, there, setup=bool(asked.get("setup")))


async def take_sign_in(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    there = _account(gateway, visit, form("anew", most=100)) if form("anew", most=100) else None
    try:
        order = _order(gateway, visit, form, there)
        from kirotrio.web.bringing.signing_in import bring_sign_in

        task_id = await gateway.bringing.begin(
            visit.user.id, "sign-in", partial(bring_sign_in, gateway, order), setup=form.ticked("setup")
        )
    except KirotrioError as error:
        problem = said(visit.speech, _for_page(error.message))
        # What cannot be signed in with is what was entered; there is no account yet that could be unavailable.
        status = 400 if error.cause is Cause.ACCOUNT_UNAVAILABLE else status_of(error)
        return _sign_in_page(gateway, visit, form, there, problem, status, setup=form.ticked("setup"))
    return redirect(visit, f"{RUNNING}/{task_id}")


def choices(visit: Visit, form: Form | None = None, *, setup: bool = False) -> dict[str, Any]:
    """What the dialog's template needs, with what was entered. An API key is never shown again."""
    names = ("way", "name", "start_url", "region", "domain", "whose", "address")
    entered = {name: form.raw(name)[:2000] if form is not None else "" for name in names}
    return {"ways": WAYS, "social": _SOCIAL, "whose": WHOSE, "kinds": ACCOUNT_KINDS, "entered": entered, "setup": setup}


def _sign_in_page(
    gateway: Gateway,
    visit: Visit,
    form: Form | None,
    there: AccountRecord | None,
    problem: str = "",
    status: int = 200,
    *,
    setup: bool,
) -> Runs:
    bring = choices(visit, form, setup=setup)
    return page(gateway, visit, "sign_in_account.html", status=status, bring=bring, there=there, problem=problem)


async def begin_import(gateway: Gateway, visit: Visit) -> Runs:
    return _import_page(gateway, visit, setup=bool(visit.incoming.arguments.get("setup")))


async def take_import(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    setup = form.ticked("setup")
    try:
        from kirotrio.web.bringing.importing import ImportOrder, bring_import

        order = ImportOrder(await _reader(gateway, visit, form), bringer(visit, form), form.ticked("check"))
        task_id = await gateway.bringing.begin(
            visit.user.id, "import", partial(bring_import, gateway, order), setup=setup
        )
    except KirotrioError as error:
        return _import_page(gateway, visit, form, said(visit.speech, error.message), status_of(error), setup=setup)
    return redirect(visit, f"{RUNNING}/{task_id}")


def _import_page(
    gateway: Gateway, visit: Visit, form: Form | None = None, problem: str = "", status: int = 200, *, setup: bool
) -> Runs:
    """What was pasted is not shown again: it is made of secrets."""
    bring = choices(visit, form, setup=setup)
    return page(gateway, visit, "import_accounts.html", status=status, bring=bring, problem=problem)


async def _reader(gateway: Gateway, visit: Visit, form: Form) -> Callable[[], Items]:
    """What gives the accounts to be imported. Raises BodyInvalid where nothing is to be read, NoDocument where that has
    no account in it, PermissionDenied for a member who asks for the machine's."""
    from kirotrio.accounts.importing.gathering import entries_of, gather
    from kirotrio.accounts.importing.shapes import accounts_in

    if form("from", most=20) == "machine":
        if not visit.user.is_operator:
            raise PermissionDenied("your role does not include this")
        places, follow = gateway.accounts.places, form.ticked("follow")
        return lambda: gather((), places, io.BytesIO, follow).items
    file = form.files.get("file", b"")
    document = file or form.raw("document").encode()
    if not document.strip():
        raise BodyInvalid("document", "paste a document, or choose a file")
    if document.startswith(SQLITE):
        raise BodyInvalid("file", "is a database; `kirotrio accounts import FILE` reads it where it lies")
    await trio.to_thread.run_sync(accounts_in, document)  # what is wrong with the whole is told beside the form
    return lambda: entries_of(document, _FILE if file else _PASTED)


async def show(gateway: Gateway, visit: Visit, task_id: str, problem: str = "") -> Runs:
    view = await _view(gateway, visit, task_id)
    shown = _step(visit, view)
    return page(
        gateway,
        visit,
        "bringing.html",
        status=400 if problem else 200,
        view=view,
        step=shown,
        note=_note(visit, view),
        problem=problem,
    )


async def events(gateway: Gateway, visit: Visit, task_id: str) -> Runs:
    """How far it is, until it is over. What nobody knows here any more (the gateway was started anew, which ends it) is
    told as well: its page is still open."""

    async def tell() -> dict[str, str]:
        try:
            view = await _view(gateway, visit, task_id)
        except NotFound as error:
            lost = (
                environment()
                .get_template("bringing_lost.html")
                .render(_=visit.speech, message=words(visit.speech, error.message))
            )
            return {"step": lost, "note": "", OVER: OVER}
        told = {"step": _step(visit, view), "note": _note(visit, view)}
        return told if view.running else {**told, OVER: OVER}

    return Live(gateway, visit, tell)


async def answer(gateway: Gateway, visit: Visit, form: Form, task_id: str) -> Runs:
    problem = await gateway.bringing.tell(task_id, visit.user.id, form("answer", most=8000))
    if problem is None:
        raise NotFound(_GONE)
    if problem:
        return await show(gateway, visit, task_id, said(visit.speech, problem))
    return redirect(visit, f"{RUNNING}/{task_id}")


async def cancel(gateway: Gateway, visit: Visit, form: Form, task_id: str) -> Runs:
    view = await _view(gateway, visit, task_id)
    if not await gateway.bringing.cancel(task_id, visit.user.id):
        visit.tell("It was over already.", "note")
    return redirect(visit, f"{RUNNING}/{view.id}")


async def _view(gateway: Gateway, visit: Visit, task_id: str) -> View:
    """Raises NotFound, for another user's as well."""
    view = await gateway.bringing.look(task_id, visit.user.id)
    if view is None:
        raise NotFound(_GONE)
    return view


def _step(visit: Visit, view: View) -> Any:
    """The part of the page that changes, as markup."""
    from markupsafe import Markup

    template = environment().get_template("bringing_step.html")
    shown = template.render(
        _=visit.speech,
        words=partial(words, visit.speech),
        visit=visit,
        view=view,
        facts=view.facts,
        kinds=ACCOUNT_KINDS,
        outcomes=_WOULD if view.step == "preview" else OUTCOMES,
        tones={**_TONES, "imported": "", "renewed": ""} if view.step == "preview" else _TONES,
        address=f"{RUNNING}/{view.id}",
        csrf=with_csrf(visit),
    )
    return Markup(shown)  # noqa: S704 - what the template has escaped


def _note(visit: Visit, view: View) -> Any:
    return words(visit.speech, view.note) if view.note and view.running else ""


def _account(gateway: Gateway, visit: Visit, account_id: str) -> AccountRecord:
    """The account that is to be signed in anew. Raises NotFound for one that is not kept here, and for somebody else's
    where it is no operator who asks."""
    for member in gateway.accounts.present():
        record = member.record
        if record is None or record.id != account_id:
            continue
        if visit.user.is_operator or record.owner_id == visit.user.id:
            return record
    raise NotFound("there is no such account; it may have been removed")


def bringer(visit: Visit, form: Form) -> Bringer:
    """Whose the new accounts will be. Raises BodyInvalid."""
    from kirotrio.web.bringing.signing_in import Bringer

    if not visit.user.is_operator:
        return Bringer(visit.actor, visit.user.id, lent=False, of=visit.user.id)
    whose = form("whose", most=20) or "team"
    if whose not in WHOSE:
        raise BodyInvalid("whose", f"must be one of {', '.join(WHOSE)}")
    return Bringer(visit.actor, "" if whose == "team" else visit.user.id, lent=whose != "mine", of=None)


def _order(gateway: Gateway, visit: Visit, form: Form, there: AccountRecord | None) -> Any:
    """Raises BodyInvalid or another KirotrioError for what cannot be signed in with."""
    from kirotrio.accounts.records import is_name
    from kirotrio.web.bringing.signing_in import SignInOrder

    name = "" if there else form("name", most=200)
    if name and not is_name(name):
        raise BodyInvalid("name", "may have up to 64 letters, digits, dots, dashes and underscores")
    if name and name in {member.name for member in gateway.accounts.present()}:
        raise BodyInvalid("name", "is the name of another account")
    return SignInOrder(_plan(form, there), bringer(visit, form), name, there)


def _plan(form: Form, there: AccountRecord | None) -> SignInPlan:
    """What is wrong with an entry is said at once, as far as it can be seen without asking anybody."""
    from kirotrio.accounts.endpoints import checked_region
    from kirotrio.accounts.sign_in import SignInPlan
    from kirotrio.accounts.sign_in.addresses import checked_domain, checked_start_url
    from kirotrio.accounts.sign_in.api_key import checked_key

    way = form("way", most=40)
    if there is not None:
        way = there.provider.lower() if there.kind == "social" and there.provider.lower() in _SOCIAL else there.kind
        way = form("way", most=40) if way == "social" else way
    if way in _SOCIAL:
        return SignInPlan("social", "browser" if form.ticked("address") else "device", provider=way)
    if way == "builder-id":
        return SignInPlan("builder-id", "device")
    if way == "identity-center":
        start_url = form("start_url", most=2048) or (there.start_url if there else "")
        region = form("region", most=40) or (there.sign_in_region if there else "") or "us-east-1"
        checked_region(region, "The sign-in")
        return SignInPlan("identity-center", "device", start_url=checked_start_url(start_url), region=region)
    if way == "external":
        return SignInPlan("external", "browser", domain=checked_domain(form("domain", most=300)))
    if way == "api-key":
        checked_key(form("api_key", most=4000))
        return SignInPlan("api-key", "device", api_key=form("api_key", most=4000))
    raise BodyInvalid("way", "choose how to sign in")


def _for_page(message: str) -> str:
    from kirotrio.accounts.bringing.sentences import for_page

    return for_page(message)


ROUTES = (
    reads(SIGN_IN, begin, OWNERS),
    changes(SIGN_IN, take_sign_in, OWNERS),
    reads(IMPORT, begin_import, OWNERS),
    changes(IMPORT, take_import, OWNERS),
    reads(f"{RUNNING}/<task_id>", show, OWNERS),
    reads(f"{RUNNING}/<task_id>/events", events, OWNERS),
    changes(f"{RUNNING}/<task_id>/answer", answer, OWNERS),
    changes(f"{RUNNING}/<task_id>/cancel", cancel, OWNERS),
)
