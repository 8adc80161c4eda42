"""What the doctor sees, one check at a time."""

from __future__ import annotations

import email.utils
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import Result

from kirotrio.accounts.finding import SourceReport
from kirotrio.cli import checks
from kirotrio.cli.checks import Finding
from kirotrio.cli.doctor import _places as doctor_places
from kirotrio.cli.doctor import run_checks
from kirotrio.config import Folders, LoadedSettings, load_settings
from kirotrio.config.settings import UpstreamSettings
from kirotrio.conversation import vocabulary
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

    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: Usage())
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


def test_the_file_that_tokens_are_counted_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(checks.vocabulary()).state == "ok"
    table = Path(vocabulary.__file__).parent / vocabulary.FILE
    damaged = tmp_path / "damaged.table"
    damaged.write_bytes(table.read_bytes()[:-1])
    for file, what in ((damaged, "damaged"), (tmp_path / "missing.table", "cannot be read")):
        monkeypatch.setattr(vocabulary, "FILE", str(file))
        finding = only(checks.vocabulary())
        assert (finding.state, finding.subject) == ("wrong", "vocabulary")
        assert what in finding.sentence
        assert "install kirotrio again" in finding.sentence


def test_a_kept_key_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "client-key").write_text("short\n")
    finding = only(checks.key(loaded(data__dir=tmp_path)))
    assert finding.state == "wrong"
    assert "client-key" in finding.sentence
    assert only(checks.key(loaded(data__dir=tmp_path, server__api_key="0123456789abcdef"))).state == "ok"


def report(state: str = "found", **changes: Any) -> SourceReport:
    known = {"name": "ide", "where": "/home/me/token.json", "setting": "", "kind": "social", "chosen": state == "found"}
    known["sign_in_url"] = "https://prod.us-east-1.auth.desktop.kiro.dev/refreshToken"
    return SourceReport(state=state, **{**known, **changes})


class TestCredentials:
    def told(self, *reports: SourceReport) -> list[Finding]:
        return list(checks.credentials(reports, NOW))

    def test_nothing_found_says_where_and_what_to_do(self) -> None:
        finding = only(self.told(report("absent", kind="", where="/a"), report("absent", kind="", where="/b")))
        assert finding.state == "wrong"
        assert "/a; /b" in finding.sentence
        assert "KIROTRIO_ACCOUNTS_REFRESH_TOKEN" in finding.sentence

    def test_a_good_one(self) -> None:
        finding = only(self.told(report(expires_at=NOW + 7200), report("absent", where="/b")))
        assert finding.state == "ok"
        assert "good for 2.0 hours" in finding.sentence

    def test_an_expired_one_is_no_fault(self) -> None:
        finding = only(self.told(report(expires_at=NOW - 1)))
        assert finding.state == "ok"
        assert "will be refreshed" in finding.sentence

    def test_a_store_that_cannot_be_written_is_wrong_once_its_token_has_expired(self) -> None:
        living = only(self.told(report(problem="read-only", expires_at=NOW + 60)))
        assert living.state == "note"
        assert "used to its end and not refreshed: read-only" in living.sentence
        expired = only(self.told(report(problem="read-only", expires_at=NOW - 60)))
        assert expired.state == "wrong"
        assert "will be refreshed" not in expired.sentence
        assert "cannot be refreshed" in expired.sentence
        assert only(self.told(report(problem="read-only"))).state == "wrong", "when it expires is not known"

    def test_of_others_than_the_one_that_answers_nothing_is_wrong(self) -> None:
        found = self.told(report(), report(problem="read-only", chosen=False))
        assert [finding.state for finding in found] == ["ok", "note"]
        assert "not used, since another comes first" in found[1].sentence

    def test_an_api_key_has_nothing_to_refresh(self) -> None:
        finding = only(self.told(report(kind="api-key", sign_in_url="")))
        assert finding.state == "ok"
        assert "refreshed" not in finding.sentence

    def test_one_that_was_named_must_be_there_and_no_other_takes_its_place(self) -> None:
        named = report("absent", kind="", setting="accounts.creds_file", problem="accounts.creds_file names it")
        assert only(self.told(named)).state == "wrong"
        found = self.told(named, report(expires_at=NOW + 60, chosen=False))
        assert [finding.state for finding in found] == ["wrong", "ok"]
        assert "not used, since another is named" in found[1].sentence
        assert not any("no sign-in to Kiro was found" in finding.sentence for finding in found)

    def test_a_damaged_place_is_wrong_only_where_it_was_named(self) -> None:
        broken = report("unreadable", kind="", problem="not JSON")
        assert [f.state for f in self.told(broken, report())] == ["note", "ok"]
        assert self.told(report("unreadable", kind="", problem="not JSON", setting="accounts.creds_file"))[
            0
        ] == Finding("wrong", "credentials", "/home/me/token.json: unreadable; not JSON")


class TestPlaces:
    """What is reached is what the chosen sign-in needs."""

    def test_the_sign_in_of_the_chosen_one_and_the_region_of_its_data(self) -> None:
        oidc = report(sign_in_url="https://oidc.eu-central-1.amazonaws.com/token", region="eu-central-1")
        places = doctor_places(loaded(), oidc)
        assert "https://oidc.eu-central-1.amazonaws.com/" in places
        assert not any("auth.desktop.kiro.dev" in place for place in places)
        assert any("eu-central-1" in place and "oidc" not in place for place in places)

    def test_an_api_key_signs_in_nowhere(self) -> None:
        places = doctor_places(loaded(), report(kind="api-key", sign_in_url="", region="us-east-1"))
        assert places
        assert not any("auth" in place or "oidc" in place for place in places)

    def test_two_ports_of_one_host_are_two_places(self) -> None:
        addresses = {"upstream.url": "http://box:1", "upstream.auth_url": "http://box:2"}
        assert doctor_places(loaded({}, **addresses), None) == ["http://box:1/", "http://box:2/"]


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

    def test_the_clock_is_told_of_once_as_the_worst_sees_it(self) -> None:
        good, bad = Finding("ok", "clock", "agrees"), Finding("wrong", "clock", "4000 seconds ahead")
        reached = Finding("ok", "reach box", "answers")
        assert checks.one_clock([good, reached, good]) == [reached, good]
        assert checks.one_clock([good, reached, bad, good]) == [reached, bad]
        *others, clock = checks.one_clock([reached])
        assert (others, clock.subject, clock.state) == ([reached], "clock", "note"), "a line says that nobody told"

    async def test_what_to_do_depends_on_what_failed(self) -> None:
        network = UpstreamFailed("could not connect to box")
        assert "KIROTRIO_PROXY_URL" in only(await self.told(network)).sentence
        assert "upstream.no_proxy" in only(await self.told(network, proxy_url="http://p:1")).sentence
        tls = UpstreamFailed("could not connect to box: [SSL: CERTIFICATE_VERIFY_FAILED]")
        assert "upstream.certificates=bundled" in only(await self.told(tls)).sentence
        assert "upstream.certificates=system" in only(await self.told(tls, certificates="bundled")).sentence


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
    done = run(
        "doctor",
        "--data-dir",
        str(tmp_path),
        KIROTRIO_UPSTREAM_URL="http://127.0.0.1:1",
        KIROTRIO_AUTH_URL="http://127.0.0.1:2",
    )
    assert done.exit_code == 1
    wrong = [line.split(": ")[0] for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert wrong == ["WRONG  credentials", "WRONG  reach 127.0.0.1:1", "WRONG  reach 127.0.0.1:2"]
    assert "3 wrong" in done.stdout


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"REFRESH_TOKEN": "r" * 120, "CLIENT_ID": "c"}, "accounts.client_secret is not"),
        ({"REFRESH_TOKEN": "cut"}, "accounts.refresh_token: unreadable; the refresh token has only 3 characters"),
        ({"KIRO_CREDS_FILE": "/no/such/file"}, "/no/such/file: absent; accounts.creds_file names it"),
    ],
)
def test_what_is_wrong_with_a_sign_in_is_told_once(
    environ: dict[str, str], said: str, run: Run, tmp_path: Path
) -> None:
    nobody = "http://127.0.0.1:1"
    done = run("doctor", "--data-dir", str(tmp_path), KIROTRIO_UPSTREAM_URL=nobody, KIROTRIO_AUTH_URL=nobody, **environ)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("WRONG") and "reach" not in line]
    assert said in line
    assert done.stdout.count(said) == 1


def test_a_wrong_setting_is_a_finding(run: Run) -> None:
    done = run("doctor", KIROTRIO_PORT="x")
    assert done.exit_code == 1
    assert done.stdout.startswith("WRONG  configuration: server.port (environment KIROTRIO_PORT)")


def test_a_followed_sign_in_that_is_gone_is_wrong(run: Run, tmp_path: Path) -> None:
    token = tmp_path / "token.json"
    token.write_text(json.dumps({"refreshToken": "r" * 120, "authMethod": "social"}))
    nobody = {"KIROTRIO_UPSTREAM_URL": "http://127.0.0.1:1", "KIROTRIO_AUTH_URL": "http://127.0.0.1:1"}
    where = {"KIROTRIO_DATA_DIR": str(tmp_path / "data"), "KIROTRIO_STORE_KEY_SOURCE": "file"}
    run("accounts", "add", "--follow", str(token), "--name", "ide", **nobody, **where)
    assert "ok     account ide" in run("doctor").stdout
    for content, said in ((None, f"no sign-in is in {token} any more"), ("[", "cannot be used")):
        token.unlink(missing_ok=True)
        if content is not None:
            token.write_text(content)
        done = run("doctor")
        (line,) = [line for line in done.stdout.splitlines() if "account ide" in line]
        assert line.startswith("WRONG")
        assert said in line
        assert "`kirotrio login --again ide`" in line
        assert done.exit_code == 1
