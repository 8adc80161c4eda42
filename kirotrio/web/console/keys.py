"""Keys: made, changed, rotated, revoked. An operator looks after all of them, a member after their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kirotrio.access.budget import COUNTED, Amount, Budget, budget_of
from kirotrio.access.key_admin import KeyGone, MadeKey
from kirotrio.access.key_terms import keys_are_given
from kirotrio.access.keys import SURFACES
from kirotrio.access.windows import Window
from kirotrio.errors import BodyInvalid, NotFound, SettingsError
from kirotrio.store.key_record import KeyRecord
from kirotrio.store.listing import Listing
from kirotrio.web.console.form_problems import NOTHING, Problem, problem_of
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import changes, reads
from kirotrio.web.console.languages import N_
from kirotrio.web.console.lists import Column, Filter, ListView, listing_of
from kirotrio.web.console.pages import page, redirect
from kirotrio.web.console.pasting import lines_to_paste
from kirotrio.web.console.recalled import OWNERS_OF_KEYS
from kirotrio.web.console.refusals import COUNTS, WINDOWS
from kirotrio.web.console.signing import SET_UP
from kirotrio.web.console.visit import OPERATOR, OWNERS, Visit, people_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

KEYS: Final = "/console/keys"
STATES: Final = {"usable": N_("Usable"), "revoked": N_("Revoked"), "expired": N_("Expired")}
_COLUMNS: Final = (
    Column(N_("Name"), "name"),
    Column(N_("Owner"), "owner"),
    Column(N_("Begins with")),
    Column(N_("State")),
    Column(N_("Expires"), "expires"),
    Column(N_("Last used"), "last_used"),
)
_OWN: Final = "me"
_GATEWAY: Final = "gateway"


async def keys(gateway: Gateway, visit: Visit) -> Runs:
    return await _list(gateway, visit)


async def _list(gateway: Gateway, visit: Visit, problem: Problem = NOTHING, form: Form | None = None) -> Runs:
    """The list, and on it the dialog: open, with what was entered, where there is a problem with that."""
    listed = await gateway.keys.list(listing_of(visit, filters=("state",)), of=_of(visit))
    now = (await people_of(gateway)).now()
    return page(
        gateway,
        visit,
        "keys.html",
        status=400 if problem else 200,
        view=ListView(KEYS, listed, _COLUMNS, (Filter("state", N_("State"), STATES),)),
        state_of=lambda record: _state(record, now),
        **await _choices(gateway, visit),
        **_terms(None, form),
        problem=problem,
    )


async def create(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    try:
        _require_making(gateway, visit, form("account", most=64))
        (await people_of(gateway)).require_confirmed(visit.signed_in)
        made = await gateway.keys.create(visit.actor, owner_id=await _owner_id(gateway, visit, form), **_read(form))
    except (SettingsError, BodyInvalid) as error:
        return await _list(gateway, visit, problem_of(visit.speech, error.message), form)
    return _made(gateway, visit, made, new=True)


async def key(
    gateway: Gateway, visit: Visit, key_id: str, problem: Problem = NOTHING, form: Form | None = None
) -> Runs:
    record = await _found(gateway, visit, key_id)
    now = (await people_of(gateway)).now()
    return page(
        gateway,
        visit,
        "key.html",
        status=400 if problem else 200,
        record=record,
        state=_state(record, now),
        uses=await gateway.keys.usage(key_id, of=_of(visit)),
        **await _choices(gateway, visit),
        **_terms(record, form),
        problem=problem,
    )


async def change(gateway: Gateway, visit: Visit, form: Form, key_id: str) -> Runs:
    record = await _found(gateway, visit, key_id)
    try:
        _require_making(gateway, visit, record.account, form("account", most=64))
        changed = _changed(record, form)
        await gateway.keys.update(visit.actor, key_id, of=_of(visit), **changed)
    except KeyGone as error:
        raise NotFound(error.message) from None
    except (SettingsError, BodyInvalid) as error:
        return await key(gateway, visit, key_id, problem_of(visit.speech, error.message), form)
    visit.tell("The key was changed.")
    return redirect(visit, f"{KEYS}/{key_id}")


async def rotate(gateway: Gateway, visit: Visit, form: Form, key_id: str) -> Runs:
    (await people_of(gateway)).require_confirmed(visit.signed_in)
    await _found(gateway, visit, key_id)
    return _made(gateway, visit, await gateway.keys.rotate(visit.actor, key_id, of=_of(visit)), new=False)


async def revoke(gateway: Gateway, visit: Visit, form: Form, key_id: str) -> Runs:
    await _found(gateway, visit, key_id)
    record = await gateway.keys.revoke(visit.actor, key_id, of=_of(visit))
    visit.tell("The key {name} was revoked.", name=record.name)
    return redirect(visit, KEYS)


async def first_key(gateway: Gateway, visit: Visit) -> Runs:
    """The last step of the setup."""
    return page(gateway, visit, "setup_key.html", problem=NOTHING, name="")


async def take_first_key(gateway: Gateway, visit: Visit, form: Form) -> Runs:
    (await people_of(gateway)).require_confirmed(visit.signed_in)
    try:
        made = await gateway.keys.create(visit.actor, form("name"), owner_id=visit.user.id)
    except SettingsError as error:
        problem = problem_of(visit.speech, error.message)
        return page(gateway, visit, "setup_key.html", status=400, problem=problem, name=form("name"))
    return _made(gateway, visit, made, new=True, step=3)


def _made(gateway: Gateway, visit: Visit, made: MadeKey, *, new: bool, step: int = 0) -> Runs:
    """The secret, this once."""
    pasted = lines_to_paste(visit, made.secret)
    return page(
        gateway, visit, "key_made.html", record=made.record, secret=made.secret, new=new, step=step, pasted=pasted
    )


def makes_keys(gateway: Gateway, visit: Visit) -> bool:
    """Whether this person makes keys for any account, and says what they may do. Who does not makes those that are
    bound to an account of their own, and rotates and revokes all of theirs."""
    return gateway.settings.users.own_keys or visit.may(OPERATOR)


def require_own_keys(gateway: Gateway, visit: Visit) -> None:
    """Raises PermissionDenied."""
    if not makes_keys(gateway, visit):
        raise keys_are_given()


def _require_making(gateway: Gateway, visit: Visit, *accounts: str) -> None:
    """`accounts`: what the key is bound to before and after. Raises PermissionDenied."""
    if not set(accounts) <= set(_accounts_of(gateway, visit)):
        require_own_keys(gateway, visit)


def _accounts_of(gateway: Gateway, visit: Visit) -> list[str]:
    """Those that are kept and this visit's own, all of them for an operator: a sign-in that settings name answers every
    key, and goes when the settings do."""
    kept = [one.record for one in gateway.accounts.present() if one.record is not None]
    return sorted(one.name for one in kept if visit.may(OPERATOR) or one.owner_id == visit.user.id)


def _of(visit: Visit) -> str | None:
    """Whose keys this visit may see: None is everybody's."""
    return None if visit.may(OPERATOR) else visit.user.id


async def _found(gateway: Gateway, visit: Visit, key_id: str) -> KeyRecord:
    try:
        return await gateway.keys.find(key_id, of=_of(visit))
    except KeyGone as error:
        raise NotFound(error.message) from None


async def _owner_id(gateway: Gateway, visit: Visit, form: Form) -> str:
    wanted = form("owner") or _OWN
    if wanted == _OWN:
        return visit.user.id
    if not visit.may(OPERATOR):
        raise BodyInvalid("owner", "your keys are your own")
    return "" if wanted == _GATEWAY else wanted


async def _choices(gateway: Gateway, visit: Visit) -> dict[str, Any]:
    """What a key may be bound to, as far as this visit may know of it."""
    operator = visit.may(OPERATOR)
    people = await people_of(gateway)
    users = (await people.users(Listing(size=200, sort="name"))).rows if operator else ()
    return {
        "accounts": _accounts_of(gateway, visit),
        "users": [user for user in users if user.id != visit.user.id],
        "owners": OWNERS_OF_KEYS,
        "makes_keys": makes_keys(gateway, visit),
        "surfaces": SURFACES,
        "windows": WINDOWS,
        "counts": COUNTS,
        "states": STATES,
    }


def _state(record: KeyRecord, now: float) -> str:
    if record.revoked_at is not None:
        return "revoked"
    return "expired" if record.expires_at is not None and record.expires_at <= now else "usable"


def _read(form: Form) -> dict[str, Any]:
    """The terms of a new key as the form has them. Raises BodyInvalid."""
    budget = Budget({window: _amount(form, window) for window in Window})
    return {**{name: read(form) for name, read in _READ.items()}, "budget": budget}


def _changed(record: KeyRecord, form: Form) -> dict[str, Any]:
    """Those terms of which the form says something else than the page had shown. Raises BodyInvalid.

    A field may show less than there is: a day of a moment, a line of a list. What nobody has touched stays as it is.
    """
    shown, chosen, limits = (_terms(record, None)[part] for part in ("terms", "chosen", "limits"))
    fields = {"name": "name", "expires": "expires_at", **{one: one for one in _SAME}}
    touched = {fields[name] for name in fields if "\n".join(form.raw(name).strip().splitlines()) != shown[name]}
    if set(form.all("surfaces")) != set(chosen):
        touched.add("surfaces")
    budget, known = {}, budget_of(record.limits)
    for window in Window:
        kept = known.windows.get(window, Amount())
        budget[window] = _amount(form, window, {name: limits.get((window.value, name), "") for name in COUNTED}, kept)
    return {"budget": Budget(budget), **{name: _READ[name](form) for name in touched}}


_SAME: Final = ("models", "networks", "account", "max_concurrent")


_READ: Final[Mapping[str, Callable[[Form], Any]]] = {
    "name": lambda form: form("name"),
    "expires_at": lambda form: _end_of_day(form("expires", most=10)),
    "models": lambda form: form.lines("models"),
    "surfaces": lambda form: form.all("surfaces"),
    "networks": lambda form: form.lines("networks"),
    "account": lambda form: form("account", most=64),
    "max_concurrent": lambda form: int(form.number("max_concurrent") or 0),
}
"""The terms of a key beside its limits, from a form."""


def _amount(form: Form, window: Window, shown: Mapping[str, str] | None = None, kept: Amount = Amount()) -> Amount:  # noqa: B008 - a value that nobody changes
    """`shown`: what stood in the fields of this window, for which `kept` stays."""
    requests, tokens, worth = (
        getattr(kept, counted)
        if shown is not None and form(name) == shown[counted]
        else form.number(name, whole=counted != "credits")
        for counted in COUNTED
        for name in (f"limit-{window.value}-{counted}",)
    )
    return Amount(None if requests is None else int(requests), None if tokens is None else int(tokens), worth)


def _end_of_day(text: str) -> float | None:
    """The moment at which a day (UTC) is over."""
    if not text:
        return None
    try:
        return (datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)).timestamp()
    except (ValueError, OverflowError):
        raise BodyInvalid("expires", f"must be a day like 2030-12-31; it is {text!r}") from None


def _terms(record: KeyRecord | None, form: Form | None) -> dict[str, Any]:
    """What the fields of a key hold: what was entered, or what the key has, or nothing."""
    if form is not None:
        limits = {(window, counted): form(f"limit-{window}-{counted}") for window in WINDOWS for counted in COUNTS}

        return {"terms": {name: form(name) for name in _FIELDS}, "chosen": form.all("surfaces"), "limits": limits}
    if record is None:
        return {"terms": dict.fromkeys(_FIELDS, ""), "chosen": (), "limits": {}}
    budget = budget_of(record.limits)
    limits = {
        (window.value, counted): "" if (most := getattr(amount, counted)) is None else _plain(most)
        for window, amount in budget.windows.items()
        for counted in COUNTED
    }
    terms = {
        "name": record.name,
        "expires": "" if record.expires_at is None else _last_day(record.expires_at),
        "models": "\n".join(record.models),
        "networks": "\n".join(record.networks),
        "account": record.account,
        "max_concurrent": str(record.max_concurrent or ""),
        "owner": "",
    }
    return {"terms": terms, "chosen": record.surfaces, "limits": limits}


_FIELDS: Final = ("name", "expires", "models", "networks", "account", "max_concurrent", "owner")


def _plain(number: float) -> str:
    """All of its digits."""
    return str(int(number)) if number == int(number) else repr(number)


def _last_day(expires_at: float) -> str:
    return datetime.fromtimestamp(expires_at - 1, UTC).strftime("%Y-%m-%d")


ROUTES = (
    reads(KEYS, keys, OWNERS),
    changes(KEYS, create, OWNERS),
    reads(KEYS + "/<key_id>", key, OWNERS),
    changes(KEYS + "/<key_id>", change, OWNERS),
    changes(KEYS + "/<key_id>/rotate", rotate, OWNERS),
    changes(KEYS + "/<key_id>/revoke", revoke, OWNERS),
    reads(SET_UP + "/key", first_key, OPERATOR),
    changes(SET_UP + "/key", take_first_key, OPERATOR),
)
