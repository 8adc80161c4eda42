"""`kirotrio doctor`: looks at everything that a working gateway needs, and says what to do."""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from kirotrio.cli import checks
from kirotrio.cli.checks import Finding
from kirotrio.cli.options import ACCOUNT, DATA, SERVING, flags, load, sources
from kirotrio.config import LoadedSettings
from kirotrio.errors import KirotrioError, Recovery, SettingsError

if TYPE_CHECKING:
    import trio

    from kirotrio.accounts.lending import Accounts, SourceReport
    from kirotrio.kiro.client import Transport
    from kirotrio.kiro.credentials import Credentials

DEADLINE = 20.0
"""Seconds for each check. They run at the same time."""

_MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}

Check = Callable[[], Awaitable[Iterable[Finding]]]


@click.command(short_help="Check everything a gateway needs and say what to do.")
@flags(*SERVING, *DATA, *ACCOUNT)
@sources
def doctor(**given: Any) -> int:
    """Check configuration, data folder, credentials, network and clock, and say what to do.

    A line begins with ok, with note for what is worth knowing, or with WRONG; the exit code is 1 if anything is
    wrong. An access token that has expired or is refused is refreshed, as the gateway would do. Each check takes 20
    seconds at most.
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
        *checks.key(loaded),
        *checks.listening(server.host, server.port),
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
                results[subject] = [Finding("wrong", subject, error.message)]
            except Exception as error:  # one check that fails does not take the others' findings along
                sentence = f"this check failed itself ({type(error).__name__}); that is a fault of kirotrio"
                results[subject] = [Finding("wrong", subject, sentence)]

    async with trio.open_nursery() as nursery:
        for subject, check in named.items():
            nursery.start_soon(run, subject, check)
    return [finding for subject in named for finding in results[subject]]


async def _beyond(loaded: LoadedSettings) -> list[Finding]:
    """What needs the network or the event loop."""
    import trio

    from kirotrio.kiro.client import Transport

    settings = loaded.settings
    try:
        transport = Transport(settings.upstream, settings.deadlines)
    except SettingsError as error:
        return [Finding("wrong", "configuration", error.message)]
    async with transport, trio.open_nursery() as nursery:
        accounts = _accounts(loaded, transport, nursery)
        findings: list[Finding] = []
        chosen: SourceReport | None = None
        named: dict[str, Check] = {}
        if accounts is not None:
            try:
                reports = await accounts.describe()
            except KirotrioError as error:
                findings = [Finding("wrong", "credentials", error.message)]
            else:
                findings = list(checks.credentials(reports, time.time()))
                chosen = next((report for report in reports if report.chosen), None)
        # Where its tokens cannot be refreshed any more, asking would only say so again.
        if accounts is not None and chosen is not None and not any(finding.state == "wrong" for finding in findings):
            named["account"] = functools.partial(_account, loaded, transport, accounts)
        for url in _places(loaded, chosen):
            named[f"reach {urlsplit(url).netloc}"] = functools.partial(_reach, loaded, transport, url)
        findings += await run_checks(named)
        nursery.cancel_scope.cancel()
    return findings


def _accounts(loaded: LoadedSettings, transport: Transport, nursery: trio.Nursery) -> Accounts | None:
    """The gateway's view of accounts; None without a data folder, which is told elsewhere."""
    from kirotrio.accounts.lending import Accounts
    from kirotrio.cli.surroundings import places_of_user
    from kirotrio.telemetry.log import SilentLog

    folder = loaded.settings.data.dir
    if folder is None:
        return None
    return Accounts(loaded.settings, transport, SilentLog(), nursery, data_dir=folder, places=places_of_user())


async def _account(loaded: LoadedSettings, transport: Transport, accounts: Accounts) -> Iterable[Finding]:
    """Whether the chosen sign-in is taken by the service: its list of models is the smallest question.

    A token that is refused is replaced once, as for any request.
    """
    account = await accounts.lend()
    credentials = await account.credentials()
    try:
        models = await _models(loaded, transport, credentials)
    except KirotrioError as error:
        if error.recovery is Recovery.RESOLVE_PROFILE:
            await account.resolve_profile()
        elif error.recovery is Recovery.REFRESH_TOKEN:
            await account.refused(credentials.access_token)
        else:
            raise
        models = await _models(loaded, transport, await account.credentials())
    return [Finding("ok", "account", f"{account.name} can use {len(models)} models: {', '.join(models)}")]


async def _models(loaded: LoadedSettings, transport: Transport, credentials: Credentials) -> list[str]:
    import orjson

    from kirotrio.kiro.endpoints import endpoints, headers_for
    from kirotrio.kiro.errors import from_response
    from kirotrio.kiro.models import parse_models

    upstream = loaded.settings.upstream
    endpoint = endpoints(upstream.flavour, credentials.region, upstream.url).models(
        origin=upstream.origin, profile_arn=credentials.profile_arn
    )
    headers = headers_for(credentials, endpoint, user_agent=upstream.user_agent)
    answer = await transport.call(endpoint.method, endpoint.url, headers=headers, body=endpoint.body, deadline=DEADLINE)
    if answer.status != 200:
        raise from_response(answer.status, answer.headers, answer.body)
    return [model.id for model in parse_models(orjson.loads(answer.body)) if model.listed]


async def _reach(loaded: LoadedSettings, transport: Transport, url: str) -> Iterable[Finding]:
    upstream = loaded.settings.upstream
    return await checks.upstream(lambda: transport.call("GET", url, deadline=DEADLINE), urlsplit(url).netloc, upstream)


def _places(loaded: LoadedSettings, chosen: SourceReport | None) -> list[str]:
    """One address of every host and port that answers need: data calls, and what refreshes the chosen sign-in."""
    from kirotrio.accounts.endpoints import social_refresh_url
    from kirotrio.kiro.endpoints import DEFAULT_REGION, endpoints

    upstream = loaded.settings.upstream
    data = endpoints(upstream.flavour, chosen.region if chosen else upstream.region, upstream.url)
    # Without a sign-in, the place where most of them are made.
    sign_in = chosen.sign_in_url if chosen else social_refresh_url(DEFAULT_REGION, upstream.auth_url)
    urls = [data.data, data.control, *([sign_in] if sign_in else [])]
    return [f"{scheme}://{place}/" for scheme, place in dict.fromkeys(urlsplit(url)[:2] for url in urls)]
