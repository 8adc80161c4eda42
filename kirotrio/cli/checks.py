"""What `kirotrio doctor` looks at: small functions, each of which gives findings."""

from __future__ import annotations

import email.utils
import shutil
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Literal

from kirotrio.classes import frozen
from kirotrio.cli.first_run import check_key, is_loopback, kept_key, open_data_folder
from kirotrio.config import LoadedSettings
from kirotrio.config.options import options
from kirotrio.config.settings import UpstreamSettings
from kirotrio.errors import KirotrioError

if TYPE_CHECKING:
    from kirotrio.accounts.finding import SourceReport
    from kirotrio.kiro.http_answer import HttpAnswer

LITTLE_SPACE = 200 * 1024 * 1024
NO_SPACE = 20 * 1024 * 1024
"""Bytes. The data folder itself stays small; a full disk loses rotated tokens."""

CLOCK_NOTED = 30.0
CLOCK_WRONG = 300.0
"""Seconds. Beyond, tokens are refreshed too late or all the time."""


@frozen
class Finding:
    """`wrong` makes the exit code 1; `note` is worth knowing. `sentence` says what to do where something is."""

    state: Literal["ok", "note", "wrong"]
    subject: str
    sentence: str


def configuration(loaded: LoadedSettings) -> Iterable[Finding]:
    """Which settings are not at their default, and what loading had to say."""
    changed = [name for name in options() if loaded.origins[name] != "default"]
    file = f"; TOML file {loaded.config_file}" if loaded.config_file else ""
    told = ", ".join(changed) if changed else "all settings are at their default"
    yield Finding("ok", "configuration", told + file)
    for notice in loaded.notices:
        yield Finding("note", "configuration", notice)


def data_folder(loaded: LoadedSettings) -> Iterable[Finding]:
    """Whether what must last can be written, and room for it."""
    subject = "data folder"
    try:
        folder = open_data_folder(loaded)
        free = shutil.disk_usage(folder).free
    except KirotrioError as error:
        return [Finding("wrong", subject, error.message)]
    except OSError as error:
        return [Finding("note", subject, f"the free space of the data folder cannot be told ({error.strerror})")]
    room = f"{folder} can be written, {free // (1024 * 1024)} MiB free"
    if free < NO_SPACE:
        return [Finding("wrong", subject, f"{room}; make room, or new tokens cannot be kept")]
    return [Finding("note" if free < LITTLE_SPACE else "ok", subject, room)]


def vocabulary() -> Iterable[Finding]:
    """Whether the file that tokens are counted by is there and sound: some milliseconds, 2 MB."""
    from kirotrio.conversation.vocabulary import FILE, read_table

    try:
        read_table()
    except KirotrioError as error:
        return [Finding("wrong", "vocabulary", error.message)]
    return [Finding("ok", "vocabulary", f"{FILE}, which tokens are counted by, is there and sound")]


def key(loaded: LoadedSettings) -> Iterable[Finding]:
    """What clients must send."""
    server, origin, folder = loaded.settings.server, loaded.origins["server.api_key"], loaded.settings.data.dir
    try:
        if not server.api_key:
            kept = folder is not None and kept_key(folder)
            made = "is used (`kirotrio keys show`)" if kept else "will be used"
            return [Finding("ok", "key", f"none is configured; the one made on first run {made}")]
        check_key(server.api_key, origin, allow_short=server.allow_short_key)
    except KirotrioError as error:
        return [Finding("wrong", "key", error.message)]
    return [Finding("ok", "key", f"configured ({origin})")]


def listening(host: str, port: int) -> Iterable[Finding]:
    """Whether `host:port` is free, and who could reach it."""
    subject = "address"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "if that is not kirotrio itself, choose another with --port or --host"
        yield Finding("note", subject, f"{host}:{port} cannot be listened on ({reason}); {hint}")
    else:
        yield Finding("ok", subject, f"{host}:{port} is free")
    if not is_loopback(host):
        yield Finding("note", subject, f"{host} can be reached from other machines; whoever has the key can use it")


def credentials(reports: Iterable[SourceReport], now: float) -> Iterable[Finding]:
    """Where a sign-in was looked for and what is there. `now`: epoch seconds."""
    reports = list(reports)
    answered = any(report.chosen for report in reports)
    # A person's own word that leads nowhere is told by its own line; another sign-in does not take its place.
    in_vain = not answered and any(report.setting for report in reports)
    unused = "not used, since another is named" if in_vain else "not used, since another comes first"
    findings = [_credential(report, now, unused) for report in reports if report.state != "absent" or report.problem]
    if not answered and not in_vain:
        places = "; ".join(report.where for report in reports)
        findings.append(
            Finding(
                "wrong",
                "credentials",
                "no sign-in to Kiro was found; run `kirotrio login`, sign in with the Kiro IDE or kiro-cli, or set "
                f"KIROTRIO_ACCOUNTS_REFRESH_TOKEN, KIROTRIO_ACCOUNTS_API_KEY or KIROTRIO_ACCOUNTS_"
                f"CREDS_FILE. Looked at: {places}",
            )
        )
    return findings


def _credential(report: SourceReport, now: float, unused: str) -> Finding:
    about = f"{report.where}: {report.kind or report.state}"
    if report.state != "found":
        # Worse than absent only where somebody named it: otherwise the next place is taken.
        return Finding("wrong" if report.setting else "note", "credentials", f"{about}; {report.problem}")
    left = 0.0 if report.expires_at is None else report.expires_at - now
    lives = left > 0 or not report.refreshable
    if left > 0:
        about += f", access token good for {_span(left)}"
    elif report.refreshable:
        about += f", access token expired, {'cannot' if report.problem else 'will'} be refreshed"
    about += f", {'this one answers' if report.chosen else unused}"
    if not report.problem:
        return Finding("ok", "credentials", about)
    until = "it is used to its end and not refreshed" if lives else "it is not refreshed"
    return Finding(
        "wrong" if report.chosen and not lives else "note", "credentials", f"{about}; {until}: {report.problem}"
    )


def _span(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.0f} minutes"


async def upstream(
    call: Callable[[], Awaitable[HttpAnswer]],
    place: str,
    settings: UpstreamSettings,
    now: Callable[[], float] = time.time,
    *,
    own_proxy: str | None = None,
    owner: str = "",
) -> Iterable[Finding]:
    """Whether `place` (host, with a port that is not the usual one) answers at all, whatever it answers, and whether
    our clock agrees with its `Date`. `own_proxy`: that of the account `owner`; "" is none, None that of `settings`."""
    subject = f"reach {place}" + (f" ({owner})" if own_proxy is not None else "")
    proxied = bool(settings.proxy_url if own_proxy is None else own_proxy)
    setting = "upstream.proxy_url" if own_proxy is None else f"`kirotrio accounts set {owner} --proxy`"
    before = now()
    try:
        answer = await call()
    except KirotrioError as error:
        way_out = _way_out(error.message, settings, setting if proxied else "")
        return [Finding("wrong", subject, f"{error.message}; {way_out}")]
    after = now()
    through = " through the account's own proxy" if proxied and own_proxy else " through the proxy" if proxied else ""
    finding = Finding("ok", subject, f"answers{through} in {(after - before) * 1000:.0f} ms")
    offset = clock_offset(answer.headers.get("date", ""), (before + after) / 2)
    return [finding, *(clock(offset) if offset is not None else ())]


def clock_offset(date: str, now: float) -> float | None:
    """How many seconds our clock is ahead of an HTTP `Date`; None where there is none."""
    try:
        there = email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return None
    return now - there


def clock(offset: float) -> Iterable[Finding]:
    """What a clock that is `offset` seconds ahead means."""
    side = "ahead" if offset > 0 else "behind"
    sentence = f"this machine's clock is {abs(offset):.0f} seconds {side}"
    if abs(offset) >= CLOCK_WRONG:
        return [Finding("wrong", "clock", f"{sentence}; set it, or tokens are refreshed at the wrong time")]
    if abs(offset) >= CLOCK_NOTED:
        return [Finding("note", "clock", f"{sentence}; let the system keep it (NTP)")]
    return [Finding("ok", "clock", "agrees with the service's")]


def one_clock(findings: Iterable[Finding]) -> list[Finding]:
    """The clock is told of once, and at the end, whoever answered: as the one that it agrees with least sees it."""
    findings = list(findings)
    clocks = [finding for finding in findings if finding.subject == "clock"]
    unknown = Finding("note", "clock", "not compared, since no service that answered told the time")
    worst = max(clocks, key=lambda finding: ("ok", "note", "wrong").index(finding.state), default=unknown)
    return [*(finding for finding in findings if finding.subject != "clock"), worst]


def _way_out(message: str, settings: UpstreamSettings, proxy_setting: str) -> str:
    """What to try after a call that failed for this reason. `proxy_setting`: where its proxy was named, "" if none."""
    lower = message.lower()
    if "certificate" in lower or "ssl" in lower:
        other = "bundled" if settings.certificates != "bundled" else "system"
        return (
            f"if a company's proxy opens the connection, its certificate must be among the trusted ones; "
            f"upstream.certificates={other} takes another set"
        )
    if proxy_setting:
        return f"check {proxy_setting} and upstream.no_proxy"
    return "check the network; where only a proxy gets out, set KIROTRIO_PROXY_URL"
