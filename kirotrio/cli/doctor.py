"""`kirotrio doctor`: looks at everything that a working gateway needs, and says what to do."""

from __future__ import annotations

import contextlib
import functools
import time
from typing import TYPE_CHECKING, Any

import click

from kirotrio.cli import account_checks, checks, sign_in_checks
from kirotrio.cli.account_checks import Check
from kirotrio.cli.checks import Finding
from kirotrio.cli.options import ACCOUNT, DATA, SERVING, flags, load, sources
from kirotrio.cli.probing import finder, shared
from kirotrio.config import LoadedSettings
from kirotrio.errors import KirotrioError, SettingsError

if TYPE_CHECKING:
    from kirotrio.accounts.finding import SourceReport
    from kirotrio.accounts.shared import Known
    from kirotrio.cli.stores import Stores
    from kirotrio.kiro.client import Transport

DEADLINE = 20.0
"""Seconds for each check. They run at the same time."""

_MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@click.command(short_help="Check everything a gateway needs and say what to do.")
@flags(*SERVING, *DATA, *ACCOUNT)
@sources
def doctor(**given: Any) -> int:
    """Check configuration, data folder, credentials, network and clock, and say what to do.

    A line begins with ok, with note for what is worth knowing, or with WRONG; the exit code is 1 if anything is
    wrong. Nothing is changed by it, and no token is refreshed. Each check takes 20 seconds at most.
    """
    try:
        loaded = load(given)
    except SettingsError as error:
        findings: list[Finding] = [Finding("wrong", "configuration", error.message)]
    else:
        findings = examine(loaded)
    for finding in findings:
        click.echo(f"{_MARKS[finding.state]}  {finding.subject}: {finding.sentence}")
    wrong = sum(finding.state == "wrong" for finding in findings)
    click.echo(f"\n{wrong} wrong" if wrong else "\nnothing is wrong")
    return 1 if wrong else 0


def examine(loaded: LoadedSettings) -> list[Finding]:
    """Everything there is to say of these settings, in the order of a start."""
    import trio

    server = loaded.settings.server
    findings = [
        *checks.configuration(loaded),
        *checks.data_folder(loaded),
        *account_checks.modes(loaded),  # before the store is opened, whose files beside the first take after it
        *checks.key(loaded),
        *checks.listening(server.host, server.port),
        *checks.vocabulary(),
        *sign_in_checks.address(loaded.settings),
    ]
    return findings + trio.run(_beyond, loaded)


async def run_checks(named: dict[str, Check], deadline: float = DEADLINE) -> list[Finding]:
    """The findings of all checks, in their order; they run at the same time. One that fails or takes longer than
    `deadline` seconds is a finding itself."""
    import trio

    results: dict[str, list[Finding]] = {}

    async def run(subject: str, check: Check) -> None:
        results[subject] = [Finding("wrong", subject, f"took longer than {deadline:g} seconds; try again later")]
        with trio.move_on_after(deadline):
            try:
                results[subject] = list(await check())
            except KirotrioError as error:
                results[subject] = [Finding("wrong", subject, error.in_full)]
            except Exception as error:  # one check that fails does not take the others' findings along
                sentence = f"this check failed itself ({type(error).__name__}); that is a fault of kirotrio"
                results[subject] = [Finding("wrong", subject, sentence)]

    async with trio.open_nursery() as nursery:
        for subject, check in named.items():
            nursery.start_soon(run, subject, check)
    return [finding for subject in named for finding in results[subject]]


async def _beyond(loaded: LoadedSettings) -> list[Finding]:
    """What needs the store, the network or the event loop."""
    from kirotrio.cli.stores import with_store
    from kirotrio.kiro.client import Transport

    settings = loaded.settings
    try:
        transport = Transport(settings.upstream, settings.deadlines)
    except SettingsError as error:
        return [Finding("wrong", "configuration", error.message)]
    async with transport:
        elsewhere = sign_in_checks.providers(settings, transport, DEADLINE)
        opened = contextlib.ExitStack()
        with opened:
            try:
                stores = opened.enter_context(with_store(loaded))
                known = await shared(loaded, stores).known(None)
            except KirotrioError as error:
                # Without a data folder there is none, which was told before.
                told = [] if settings.data.dir is None else [Finding("wrong", "store", error.in_full)]
                reached = _reach(loaded, transport, None, None)
                return [*told, *checks.one_clock(await run_checks(reached | elsewhere))]
            assert known is not None  # noqa: S101 - None is only said of a revision that was seen
            return [
                *account_checks.store(stores, known),
                *await _accounts(loaded, stores, known, transport, elsewhere),
            ]


async def _accounts(
    loaded: LoadedSettings, stores: Stores, known: Known, transport: Transport, elsewhere: dict[str, Check]
) -> list[Finding]:
    """The accounts of the store, or the sign-in that answers in their place, and what they have to reach; beside
    these, whatever `elsewhere` asks."""
    import trio

    settings = loaded.settings
    looks = finder(loaded, stores)
    findings: list[Finding] = []
    named: dict[str, Check] = {}
    chosen: SourceReport | None = None
    alone = looks.is_named or not known.records
    async with trio.open_nursery() as nursery:
        if alone:
            try:
                reports = await looks.describe()
            except KirotrioError as error:
                findings = [Finding("wrong", "credentials", error.message)]
            else:
                findings = list(checks.credentials(reports, time.time()))
                chosen = next((report for report in reports if report.chosen), None)
            # Where its tokens cannot be refreshed any more, asking would only say so again.
            if chosen is not None and not any(finding.state == "wrong" for finding in findings):
                source = await looks.find()
                named["account"] = functools.partial(account_checks.outside, settings, source, transport, nursery)
            if known.records:
                sentence = f"{len(known.records)} kept here are not asked while a setting names another sign-in"
                findings.append(Finding("note", "accounts", sentence))
        else:
            named |= account_checks.kept(loaded, stores, known, transport, nursery)
        named |= _reach(loaded, transport, chosen, None if alone else known) | elsewhere
        findings += checks.one_clock(await run_checks(named))
        nursery.cancel_scope.cancel()
    return findings


def _reach(
    loaded: LoadedSettings, transport: Transport, chosen: SourceReport | None, known: Known | None
) -> dict[str, Check]:
    settings = loaded.settings
    found = account_checks.routes(known, settings) if known is not None else {}
    found = found or {(url, None): "" for url in _places(loaded, chosen)}
    return account_checks.reaching(settings, transport, found, DEADLINE)


def _places(loaded: LoadedSettings, chosen: SourceReport | None) -> list[str]:
    """One address of every host and port that answers need: data calls, the portal, and what refreshes the chosen
    sign-in."""
    from kirotrio.accounts.endpoints import social_refresh_url
    from kirotrio.kiro.endpoints import DEFAULT_REGION, endpoints

    upstream = loaded.settings.upstream
    data = endpoints(upstream.flavour, chosen.region if chosen else upstream.region, upstream.url)
    # Without a sign-in, the place where most of them are made.
    sign_in = chosen.sign_in_url if chosen else social_refresh_url(DEFAULT_REGION, upstream.auth_url)
    urls = [data.data, data.control, *([sign_in] if sign_in else [])]
    if chosen is None or chosen.refreshable:
        urls += account_checks.portal(loaded.settings)
    return account_checks.hosts(urls)
