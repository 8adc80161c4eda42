"""Trying an account: asking Kiro what it is worth, which is free, or one real question, which costs a little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from kirotrio.accounts.lending.members import Member
from kirotrio.accounts.lending.refusals import pause
from kirotrio.errors import AccountUnavailable, Blame, KirotrioError
from kirotrio.relay.trial import Trial, ask_once
from kirotrio.web.console.accounts import LIST, ONE, find
from kirotrio.web.console.forms import Form
from kirotrio.web.console.guarding import changes
from kirotrio.web.console.languages import N_
from kirotrio.web.console.pages import redirect, said
from kirotrio.web.console.visit import OWNERS, Visit
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

if TYPE_CHECKING:
    from sqlalchemy import Connection

_UNUSABLE: Final = N_("this gateway cannot use it; its log says why")


async def test(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    """Ask Kiro what it is worth, which costs nothing and shows whether its sign-in is good."""
    name = (await find(gateway, visit, account_id)).record.name
    try:
        member = await _member(gateway, account_id)
        await gateway.accounts.usage.refresh(member.name, member.account.credentials, anew=True)
    except KirotrioError as error:
        await _note(gateway, visit, name, {"asked": "usage", "answered": False})
        visit.tell("{name} did not answer: {reason}", "failed", name=name, reason=said(visit.speech, error.message))
    else:
        await _note(gateway, visit, name, {"asked": "usage", "answered": True})
        visit.tell("{name} answers; its sign-in is good.", name=name)
    return redirect(visit, form("next") or LIST)


async def ask(gateway: Gateway, visit: Visit, form: Form, account_id: str) -> Runs:
    """One real question, of the cheapest model. What comes of it counts as what a client's request meets."""
    name = (await find(gateway, visit, account_id)).record.name
    try:
        trial = await _ask(gateway, await _member(gateway, account_id))
    except KirotrioError as error:
        await _note(gateway, visit, name, {"asked": "question", "answered": False})
        visit.tell("{name} did not answer: {reason}", "failed", name=name, reason=said(visit.speech, error.message))
        return redirect(visit, form("next") or LIST)
    await _note(gateway, visit, name, {"asked": "question", "model": trial.model, "credits": trial.credits})
    visit.tell(
        "{name} answers. Model {model}; first token after {first} s, all of it after {seconds} s; credits: {credits}.",
        name=name,
        model=trial.model,
        first="–" if trial.first is None else f"{trial.first:.2f}",
        seconds=f"{trial.seconds:.2f}",
        credits="–" if trial.credits is None else f"{trial.credits:g}",
    )
    return redirect(visit, form("next") or LIST)


async def _ask(gateway: Gateway, member: Member) -> Trial:
    """On a place of its own, as every request has one, though it may be paused or disabled."""
    pool, asked = gateway.accounts, list[str]()
    began = pool.now()
    try:
        async with member.gate.place(pool.settings.deadlines.queue):
            trial = await ask_once(member.account, gateway.relay.transport, pool.settings, gateway.log, asked)
    except KirotrioError as error:
        if error.blame is not Blame.NONE:
            await pause(pool, member, error, asked[-1] if asked else "")
        raise
    pool.cooldowns.served(member.key, trial.model, began)
    return trial


async def _member(gateway: Gateway, account_id: str) -> Member:
    """Raises AccountUnavailable for one that this gateway cannot use."""
    pool = gateway.accounts
    if pool.kept(account_id) is None:
        await pool.look()
    member = pool.kept(account_id)
    if member is None:
        raise AccountUnavailable(_UNUSABLE)
    return member


async def _note(gateway: Gateway, visit: Visit, name: str, detail: dict[str, Any]) -> None:
    entry = visit.actor.entry("account.test", name, gateway.accounts.now(), detail)

    def work(connection: Connection) -> None:
        from kirotrio.store.audit_rows import note

        note(connection, entry)

    await gateway.accounts.shared.database.write(work)


ROUTES = (changes(ONE + "/test", test, OWNERS), changes(ONE + "/ask", ask, OWNERS))
