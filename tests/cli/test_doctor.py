"""What the doctor sees, one check at a time."""

from __future__ import annotations

import email.utils
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import Result

from kirotrio.accounts.lending import SourceReport
from kirotrio.cli import checks
from kirotrio.cli.checks import Finding
from kirotrio.cli.doctor import run_checks
from kirotrio.config import Folders, LoadedSettings, load_settings
from kirotrio.config.settings import UpstreamSettings
from kirotrio.errors import KirotrioError, UpstreamFailed
from kirotrio.kiro.http_answer import HttpAnswer

Run = Callable[..., Result]
NOW = 1_800_000_000.0


def loaded(environ: dict[str, str] | None = None, **overrides: Any) -> LoadedSettings:
    named = {name.replace("__", "."): value for name, value in overrides.items()}
    return load_settings(overrides=named, environ=environ or {}, folders=Folders())


def only(findings: Iterable[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_configuration_tells_what_is_set_and_what_was_noticed() -> None:
    findings = list(checks.configuration(loaded({"REFRESH_TOKEN": "secret-secret", "KIROTRIO_PORT": "1"})))
    assert [finding.state for finding in findings] == ["ok", "note"]
    assert "server.port, accounts.refresh_token" in findings[0].sentence
    assert "secret-secret" not in str(findings)


@pytest.mark.parametrize(("free", "state"), [(10**12, "ok"), (10**8, "note"), (10**6, "wrong")])
def test_room_in_the_data_folder(free: int, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        def __init__(self) -> None:
            self.free = free

    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: Usage())  # type: ignore[attr-defined]  # a module's own
    assert only(checks.data_folder(loaded(data__dir=tmp_path))).state == state


def test_a_data_folder_that_cannot_be_written() -> None:
    finding = only(checks.data_folder(loaded(data__dir="/dev/null/x")))
    assert finding.state == "wrong"
    assert "KIROTRIO_DATA_DIR" in finding.sentence


def test_key() -> None:
    assert only(checks.key(loaded())).state == "ok"
    assert only(checks.key(loaded(server__api_key="0123456789abcdef"))).state == "ok"
    short = only(checks.key(loaded(server__api_key="swordfish")))
    assert short.state == "wrong"
    assert "swordfish" not in short.sentence


def test_address_in_use_and_open_to_others() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert only(checks.listening("127.0.0.1", taken.getsockname()[1])).state == "note"
    assert only(checks.listening("127.0.0.1", 0)).state == "ok"
    assert [finding.state for finding in checks.listening("0.0.0.0", 0)] == ["ok", "note"]
    assert next(iter(checks.listening("no.such.host.invalid", 0))).state == "note"


def report(state: str = "found", **changes: Any) -> SourceReport:
    known = {"name": "ide", "where": "/home/me/token.json", "setting": "", "kind": "social", "chosen": state == "found"}
    return SourceReport(state=state, **{**known, **changes})


class TestCredentials:
    async def told(self, *reports: SourceReport) -> list[Finding]:
        async def describe() -> list[SourceReport]:
            return list(reports)

        return list(await checks.credentials(describe, lambda: NOW))

    async def test_nothing_found_says_where_and_what_to_do(self) -> None:
        finding = only(await self.told(report("absent", kind="", where="/a"), report("absent", kind="", where="/b")))
        assert finding.state == "wrong"
        assert "/a; /b" in finding.sentence
        assert "KIROTRIO_ACCOUNTS_REFRESH_TOKEN" in finding.sentence

    async def test_a_good_one(self) -> None:
        finding = only(await self.told(report(expires_at=NOW + 7200), report("absent", where="/b")))
        assert finding.state == "ok"
        assert "good for 2.0 hours" in finding.sentence

    async def test_an_expired_one_is_no_fault(self) -> None:
        finding = only(await self.told(report(expires_at=NOW - 1)))
        assert finding.state == "ok"
        assert "will be refreshed" in finding.sentence

    async def test_a_store_that_cannot_be_written_is_wrong_where_it_is_the_one_that_answers(self) -> None:
        assert only(await self.told(report(problem="read-only"))).state == "wrong"
        assert [f.state for f in await self.told(report(), report(problem="read-only", chosen=False))] == ["ok", "note"]

    async def test_one_that_was_named_must_be_there(self) -> None:
        named = report("absent", setting="accounts.creds_file", problem="accounts.creds_file names it, not there")
        assert [finding.state for finding in await self.told(named)] == ["wrong", "wrong"]
        named = report("unreadable", setting="accounts.creds_file", problem="not JSON")
        assert (await self.told(named))[0].state == "wrong"
        assert [f.state for f in await self.told(report("unreadable", problem="not JSON"), report())] == ["note", "ok"]


class TestReach:
    async def told(self, outcome: HttpAnswer | KirotrioError, **upstream: Any) -> list[Finding]:
        async def call() -> HttpAnswer:
            if isinstance(outcome, KirotrioError):
                raise outcome
            return outcome

        return list(await checks.upstream(call, "box", UpstreamSettings(**upstream), lambda: NOW))

    def answer(self, status: int = 404, ahead: float = 0.0) -> HttpAnswer:
        return HttpAnswer(status, {"date": email.utils.formatdate(NOW - ahead, usegmt=True)}, b"")

    async def test_any_answer_is_an_answer(self) -> None:
        assert [finding.state for finding in await self.told(self.answer(403))] == ["ok", "ok"]

    @pytest.mark.parametrize(
        ("ahead", "state", "said"),
        [
            (10, "ok", "agrees"),
            (-100, "note", "100 seconds behind"),
            (100, "note", "100 seconds ahead"),
            (4000, "wrong", "4000 seconds ahead; set it"),
        ],
    )
    async def test_the_clock_is_held_against_the_date(self, ahead: float, state: str, said: str) -> None:
        finding = (await self.told(self.answer(ahead=ahead)))[1]
        assert (finding.subject, finding.state) == ("clock", state)
        assert said in finding.sentence

    @pytest.mark.parametrize("headers", [{}, {"date": "yesterday"}, {"date": "Mon, 99 Foo 2026 00:00:00 GMT"}])
    async def test_without_a_date_nothing_is_said_of_the_clock(self, headers: dict[str, str]) -> None:
        assert only(await self.told(HttpAnswer(200, headers, b""))).subject == "reach box"

    async def test_what_to_do_depends_on_what_failed(self) -> None:
        network = UpstreamFailed("could not connect to box")
        assert "KIROTRIO_PROXY_URL" in only(await self.told(network)).sentence
        assert "upstream.no_proxy" in only(await self.told(network, proxy_url="http://p:1")).sentence
        tls = UpstreamFailed("could not connect to box: [SSL: CERTIFICATE_VERIFY_FAILED]")
        assert "upstream.certificates=bundled" in only(await self.told(tls)).sentence
        assert "upstream.certificates=system" in only(await self.told(tls, certificates="bundled")).sentence
        assert (await self.told(self.answer(407), proxy_url="http://p:1"))[0].state == "wrong"


async def test_checks_run_together_in_order_and_each_has_a_deadline(autojump_clock: trio.testing.MockClock) -> None:
    async def after(seconds: float) -> list[Finding]:
        await trio.sleep(seconds)
        return [Finding("ok", "x", f"after {seconds:g}")]

    async def failing() -> list[Finding]:
        raise UpstreamFailed("it broke")

    started = trio.current_time()
    findings = await run_checks(
        {"slow": lambda: after(9), "stuck": lambda: after(1000), "broken": failing, "fast": lambda: after(1)},
        deadline=10,
    )
    assert trio.current_time() - started == pytest.approx(10)
    assert [(finding.state, finding.sentence) for finding in findings] == [
        ("ok", "after 9"),
        ("wrong", "took longer than 10 seconds; try again later"),
        ("wrong", "it broke"),
        ("ok", "after 1"),
    ]


def test_everything_that_is_wrong_is_told_at_once(run: Run, tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:1"
    done = run("doctor", "--data-dir", str(tmp_path), KIROTRIO_UPSTREAM_URL=nobody, KIROTRIO_AUTH_URL=nobody)
    assert done.exit_code == 1
    wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert ["credentials" in wrong[0], "reach 127.0.0.1" in wrong[1]] == [True, True]
    assert "2 wrong" in done.stdout


def test_a_wrong_setting_is_a_finding(run: Run) -> None:
    done = run("doctor", KIROTRIO_PORT="x")
    assert done.exit_code == 1
    assert done.stdout.startswith("WRONG  configuration: server.port (environment KIROTRIO_PORT)")
