"""`kirotrio accounts list`: who can answer, and in what state each is."""

from __future__ import annotations

import functools
import json
import time
from typing import TYPE_CHECKING, Any

import click

from kirotrio.classes import frozen
from kirotrio.cli.options import ACCOUNT, DATA, with_settings
from kirotrio.cli.stores import Stores, with_store
from kirotrio.cli.terminal import console_of_output, run_to_end
from kirotrio.config import LoadedSettings
from kirotrio.errors import KirotrioError

if TYPE_CHECKING:
    from kirotrio.accounts.finding import SourceReport
    from kirotrio.accounts.shared import Known
    from kirotrio.cli.accounts.states import State
    from kirotrio.store.account_record import AccountRecord


_HEADINGS = ("name", "kind", "plan", "e-mail", "owner", "state", "last used", "token expires")
_FIRST = ("state", "kind", "plan", "last used", "token expires", "owner")
"""What stands in the table where there is no room for all, the most needed first."""


@frozen
class Line:
    """One account of the store. `plan` is "" where it was never asked. `last_used`: when its last request began (epoch
    seconds), None where no record of one is kept. `owner`: the name of the user whose it is, "" for the gateway's."""

    record: AccountRecord
    state: State
    plan: str
    email: str
    last_used: float | None
    owner: str = ""


@click.command("list", short_help="List the accounts and their states.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table. Default: no.")
@with_settings(*DATA, *ACCOUNT)
def list_(loaded: LoadedSettings, as_json: bool) -> int:
    """List the accounts, with kind, plan, state, when each was last used, and when its token expires.

    A sign-in that a setting names is shown too: it answers in place of all accounts. So is one that another program
    keeps on this machine, where there are no accounts.
    """
    now = time.time()
    with with_store(loaded) as stores:
        known, missing, reports = run_to_end(functools.partial(_look, loaded, stores))
        lines = _lines(known, missing, stores, now)
        found = _answering(reports, alone=not lines)
    if as_json:
        described = [_described(line) for line in lines]
        click.echo(json.dumps(described + ([_as_json(found)] if found else []), indent=2, ensure_ascii=False))
        return 0
    if lines:
        _print(lines, now)
    for line in _notes(lines, found):
        click.echo(line)
    return 0


async def _look(loaded: LoadedSettings, stores: Stores) -> tuple[Known, dict[str, str], list[SourceReport]]:
    """All that the store holds of the accounts; by id, what is missing where they follow; and every place outside of
    the store that is looked at."""
    from kirotrio.accounts.sources.kept import missing_sign_in
    from kirotrio.cli.probing import finder, shared

    known = await shared(loaded, stores).known(None)
    assert known is not None  # noqa: S101 - None is only said of a revision that was seen
    missing = {record.id: await missing_sign_in(record) for record in known.records}
    return known, missing, await finder(loaded, stores).describe()


def _lines(known: Known, missing: dict[str, str], stores: Stores, now: float) -> list[Line]:
    from kirotrio.cli.accounts.states import state_of, without_sign_in
    from kirotrio.store.request_rows import last_used
    from kirotrio.store.user_rows import names_by_id

    plans, used, users = _plans(stores), stores.reading(last_used), stores.reading(names_by_id)
    lines = []
    for record in sorted(known.records, key=lambda record: (record.priority, record.name.lower())):
        plan, email = plans.get(record.id, ("", ""))
        pauses = [cooldown for account_id, cooldown in known.cooldowns if account_id == record.id]
        at = used.get(record.name)
        if at is not None and at < record.created_at:
            at = None  # another's, which had this name before
        state = without_sign_in(state_of(record, pauses, now), missing[record.id])
        # An owner who is gone has an id only, and is no reason to take the account for the gateway's.
        owner = users.get(record.owner_id, record.owner_id)
        lines.append(Line(record, state, plan, record.email or email, at, owner))
    return lines


def _plans(stores: Stores) -> dict[str, tuple[str, str]]:
    """Plan and e-mail by account id, of those that were asked before."""
    import orjson

    from kirotrio.accounts.worth.usage import read_document
    from kirotrio.store.snapshots import all_snapshots

    plans = {}
    for snapshot in stores.reading(lambda connection: all_snapshots(connection, "usage")):
        try:
            usage = read_document(orjson.loads(snapshot.content), snapshot.fetched_at)
        except (KirotrioError, ValueError):
            continue  # of another version; it is asked anew when it is needed
        plans[snapshot.account_id] = (usage.plan, usage.email)
    return plans


def _answering(reports: list[SourceReport], *, alone: bool) -> SourceReport | None:
    """The sign-in outside of the store that answers, or was meant to: one that is named goes before all accounts,
    one that was found only where there are none (`alone`)."""
    named = next((report for report in reports if report.setting), None)
    if named is not None:
        return named
    return next((report for report in reports if report.chosen), None) if alone else None


def _notes(lines: list[Line], found: SourceReport | None) -> list[str]:
    """What is to be said below the table, or in its place."""
    notes = [f"{line.record.name}: {line.state.reason}" for line in lines if line.state.reason]
    if notes and lines:
        notes = ["", *notes]
    if found is not None and found.setting:
        notes += [*([""] if lines else []), f"{_named(found)}; no account is asked while it is set."]
    elif found is not None:
        notes += [
            f"No account is kept here yet. What answers is the sign-in of another program: {found.kind} in "
            f"{found.where}.",
            "`kirotrio login` adds an account, `kirotrio accounts import` takes that one over.",
        ]
    elif not lines:
        notes += ["There is no account yet. `kirotrio login` signs one in, `kirotrio accounts import` takes one over."]
    return notes


def _named(found: SourceReport) -> str:
    """What a setting names, and whether it answers."""
    place = "" if found.where == found.setting else f" ({found.where})"
    if found.state == "found":
        return f"{found.setting} names a sign-in{place}: {found.kind}. It answers"
    if found.state == "absent":
        return f"{found.where}: {found.problem}. Nothing answers until then"
    return f"{found.setting} names a sign-in{place} that cannot be used: {found.problem}. Nothing answers until then"


def _print(lines: list[Line], now: float) -> None:
    from rich import box
    from rich.text import Text

    from kirotrio.cli.accounts.states import span, told_expiry
    from kirotrio.cli.tables import print_table

    rows = []
    for line in lines:
        record = line.record
        cells = (
            record.name,
            record.kind,
            line.plan or "-",
            line.email or "-",
            _whose(line),
            str(line.state),
            f"{span(now - line.last_used)} ago" if line.last_used is not None else "-",
            told_expiry(record, now),
        )
        rows.append([Text(cell, style="" if line.state.serves else "dim") for cell in cells])
    console = console_of_output()
    print_table(console, _HEADINGS, rows, first=_FIRST, box=box.SIMPLE_HEAD if console.is_terminal else None)


def _whose(line: Line) -> str:
    """Whose it is, and whether others may use it; the gateway's own are everybody's."""
    if not line.record.owner_id:
        return "-"
    return f"{line.owner} ({'lent' if line.record.lent else 'private'})"


def _described(line: Line) -> dict[str, Any]:
    from kirotrio.accounts.records import NO_PROXY

    record = line.record
    proxy_url = record.secrets.proxy_url
    return {
        "name": record.name,
        "from": "store",
        "kind": record.kind,
        "provider": record.provider,
        "plan": line.plan,
        "email": line.email,
        "owner": line.owner,
        "lent": record.lent,
        "enabled": record.enabled,
        "state": line.state.word,
        "until": line.state.until,
        "reason": line.state.reason,
        "last_used": line.last_used,
        "expires_at": record.expires_at,
        "registration_expires_at": record.registration_expires_at,
        "follows": json.loads(record.follows) if record.follows else None,
        "profile_arn": record.profile_arn,
        "region": record.region,
        "flavour": record.flavour,
        "endpoint": record.endpoint,
        "proxy": NO_PROXY if proxy_url == NO_PROXY else "own" if proxy_url else "default",
        "priority": record.priority,
        "max_concurrent": record.max_concurrent,
        "per_minute": record.per_minute,
    }


def _as_json(found: SourceReport) -> dict[str, Any]:
    return {
        "name": found.name,
        "from": found.setting or found.where,
        "kind": found.kind,
        "state": "ready" if found.chosen else found.state,
        "reason": found.problem,
        "expires_at": found.expires_at,
    }
