"""Verbs, exit codes and sentences (CONTRACT, Command line)."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import Result

from kirotrio import __version__
from kirotrio.cli.app import kirotrio
from kirotrio.cli.clients import CLIENTS
from kirotrio.config import platform_folders
from kirotrio.config.options import options
from kirotrio.config.process import home_folder
from kirotrio.errors import SettingsError

Run = Callable[..., Result]
Program = Callable[..., subprocess.CompletedProcess[str]]


def verbs() -> dict[str, click.Command]:
    context = click.Context(kirotrio)
    found: dict[str, click.Command] = {}
    for name in kirotrio.list_commands(context):
        command = kirotrio.get_command(context, name)
        assert command is not None, f"{name} is in the help text, but there is no such command"
        found[name] = command
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                below = command.get_command(context, inner)
                assert below is not None, f"{name} {inner} is in the help text, but there is no such command"
                found[f"{name} {inner}"] = below
    return found


def test_version(program: Program) -> None:
    done = program("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"kirotrio {__version__}\n", "")


def test_version_imports_nothing_that_is_slow(home: Path) -> None:
    code = (
        "import sys, kirotrio.__main__ as m; sys.argv = ['kirotrio', '--version']\n"
        "try: m.main()\n"
        "finally: print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    slow = {"structlog", "rich", "trio", "httpx", "quart", "hypercorn", "tomllib", "orjson", "tiktoken", "platformdirs"}
    assert not slow & set(done.stderr.split())


def test_help_and_the_key_are_shown_without_the_libraries_of_the_store_and_of_sign_ins(home: Path) -> None:
    calls = [["--help"], ["login", "--help"], ["accounts", "--help"], ["accounts", "set", "--help"], ["keys", "show"]]
    code = (
        "import sys; from kirotrio.cli.app import kirotrio\n"
        f"for call in {calls!r}: kirotrio.run(call)\n"
        "print(*sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    slow = {"sqlalchemy", "alembic", "psycopg", "keyring", "cbor2", "authlib", "cryptography", "trio", "httpx"}
    assert not slow & set(done.stderr.split())


@pytest.mark.parametrize("verb", verbs())
def test_help_is_there_for_every_verb_and_option(verb: str, run: Run) -> None:
    done = run(*verb.split(), "--help")
    context = click.Context(kirotrio)
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Usage: kirotrio {verb}")
    for parameter in verbs()[verb].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{verb} {parameter.opts[0]} has no help"
            assert parameter.help.endswith("."), f"{verb} {parameter.opts[0]}: not a sentence"
            if not parameter.is_flag:
                assert parameter.make_metavar(context) != "TEXT", f"{verb} {parameter.opts[0]}: says nothing"


def test_help_names_every_verb(run: Run) -> None:
    done = run("--help")
    for verb in kirotrio.list_commands(click.Context(kirotrio)):
        assert re.search(rf"^  {verb}  +\w", done.stdout, re.MULTILINE)


def test_help_names_the_apis_and_the_clients(run: Run) -> None:
    said = " ".join(run("--help").stdout.split())
    for api in ("Anthropic Messages", "OpenAI Chat Completions", "OpenAI Responses"):
        assert api in said
    said = run("launch", "--help").stdout
    for client in CLIENTS:
        assert re.search(rf"\b{client}\b", said)
    assert "`kirotrio launch claude -- -p hi`" in " ".join(said.split())


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("frobnicate",), "no such command 'frobnicate'; see `kirotrio --help`"),
        (("serve", "--prot", "1"), "no such option '--prot'"),
        (("serve", "--port", "65536"), "'--port': 65536 cannot be used; it must be a whole number from 0 to 65535"),
        (("--port", "x"), "'--port': 'x' cannot be used"),
        (("serve", "extra"), "unexpected extra argument"),
        (("settings", "--set", "server.port"), "it has the form SECTION.NAME=VALUE"),
        (("settings", "--set", "server.prot=1"), "did you mean server.port?"),
        (("settings", "--set", "server.port=-1"), "server.port: -1 cannot be used"),
        (("settings", "nothing"), "there is no setting nothing"),
        (("settings", "server.port", "nothing"), "there is no setting nothing"),
        (("settings", "server.prot"), "there is no setting server.prot; did you mean server.port?"),
        (("lint", "no-such-file"), "'no-such-file' does not exist"),
        (("lint",), "missing argument 'FILE'"),
        (("keys", "frobnicate"), "no such command 'frobnicate'; see `kirotrio keys --help`"),
        (("keys",), "something is missing after `kirotrio keys`; see `kirotrio keys --help`"),
        (("serve", "--config"), "'--config' requires an argument; see `kirotrio serve --help`"),
        (("--config",), "see `kirotrio serve --help`"),
        (("simulate", "--host"), "see `kirotrio simulate --help`"),
        (("keys", "show", "--data-dir"), "see `kirotrio keys show --help`"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(args: tuple[str, ...], said: str, run: Run) -> None:
    done = run(*args)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert said in done.stderr
    assert done.stderr.startswith("kirotrio: ")
    assert done.stderr.count("\n") == 1
    assert "see `kirotrio" in done.stderr


@pytest.mark.parametrize("verb", ["settings", "serve", "simulate"])
def test_a_wrong_setting_is_one_sentence_and_exit_code_1(verb: str, run: Run) -> None:
    done = run(verb, KIROTRIO_PORT="x")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == (
        "kirotrio: server.port (environment KIROTRIO_PORT): 'x' cannot be used; "
        "it must be a whole number from 0 to 65535\n"
    )


@pytest.mark.parametrize("verb", ["simulate", "demo"])
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("status", "NOPE", "simulator.status: 'NOPE' is no error; there are 400 to 599 and "),
        ("exception", "Foo", "simulator.exception: 'Foo' is no exception; there are error, "),
    ],
)
def test_a_simulated_fault_that_there_is_not_is_told_at_the_start(
    verb: str, name: str, value: str, said: str, run: Run
) -> None:
    done = run(verb, "--port", "0", **{f"KIROTRIO_SIMULATOR_{name.upper()}": value})
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"kirotrio: {said}")
    assert "MONTHLY_REQUEST_COUNT" in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_traceback_and_no_secret_in_a_real_process(program: Program) -> None:
    done = program("serve", "--api-key", "swordfish", "--data-dir", "/dev/null/x")
    assert done.returncode == 1
    assert done.stderr.startswith("kirotrio: server.api_key (command line): this key has fewer than 16 characters")
    assert done.stderr.count("\n") == 1
    assert "swordfish" not in done.stderr


@pytest.mark.parametrize("verb", ["serve", "demo", "simulate"])
def test_what_is_advised_for_a_taken_port_is_there(verb: str, run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run(verb, "--port", str(taken.getsockname()[1]))
    assert done.exit_code == 1
    offered = {name for parameter in verbs()[verb].params for name in parameter.opts}
    said = next(line for line in done.stderr.splitlines() if line.startswith("kirotrio: cannot listen"))
    advised = set(re.findall(r"--[a-z-]+", said))
    assert advised
    assert advised <= offered


def test_simulator_and_gateway_have_different_ports_by_themselves(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def open_listeners(_: str, port: int) -> None:
        asked.append(port)
        raise SettingsError("seen")

    monkeypatch.setattr("kirotrio.web.server.open_listeners", open_listeners)
    run("simulate")
    run("simulate", "--port", "8000")
    run("simulate", KIROTRIO_PORT="81")
    assert asked == [8010, 8000, 81]
    assert "Default: 8010" in run("simulate", "--help").stdout
    assert "Default: 8000" in run("serve", "--help").stdout


def test_an_empty_home_is_none_for_settings_and_sign_ins_alike(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("settings", HOME="")
    folders, home = platform_folders(), home_folder()
    assert home != Path("/")
    assert folders.data is None or home is None or folders.data.is_relative_to(home)
    assert Path("~/x").expanduser() != Path("/x")


FULL = Path("/dev/full")


class TestOutputThatCannotBeWritten:
    def run(self, args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", f'"$0" -m kirotrio {args}', sys.executable],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
    @pytest.mark.parametrize("args", ["settings", "settings --json", "--help", "--version", "doctor --help"])
    def test_a_full_disk_is_one_sentence(self, args: str, home: Path) -> None:
        done = self.run(f"{args} >/dev/full")
        assert (done.returncode, done.stderr) == (
            1,
            "kirotrio: the output cannot be written (no space left on device); make room, or let it go elsewhere\n",
        )

    @pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
    def test_a_reader_who_has_gone_is_no_news(self, home: Path) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "kirotrio", "settings"],
            stdout=writing,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (1, b"")

    @pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
    @pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
    def test_closed_streams_are_as_good_as_ones_that_nobody_reads(self, closed: str, home: Path) -> None:
        done = self.run(f"settings {closed}")
        assert (done.returncode, done.stderr) == (0, "")
        assert self.run(f"lint - {closed} </dev/null").returncode == 1

    def test_a_file_that_cannot_be_read_is_named(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(path))

        (Path.cwd() / "body.json").write_text("{}")
        monkeypatch.setattr(Path, "read_bytes", refused)
        done = run("lint", "body.json")
        assert done.exit_code == 1
        assert done.stderr == "kirotrio: body.json: permission denied; check the path and its permissions\n"


def test_options_without_a_verb_are_those_of_serve(run: Run) -> None:
    done = run("--api-key", "short")
    assert done.exit_code == 1
    assert "--allow-short-key" in done.stderr


class TestSettings:
    def test_every_setting_stands_in_the_table(self, run: Run) -> None:
        done = run("settings")
        assert done.exit_code == 0
        lines = done.stdout.splitlines()
        assert lines[0].split() == ["setting", "value", "unit", "default", "from"]
        for option, line in zip(options().values(), lines[1:], strict=False):
            assert line.startswith(option.name + " ")
            assert line.rstrip().endswith("  default")

    def test_every_number_has_a_unit(self) -> None:
        bare = {name for name, option in options().items() if option.kind in (int, float) and not option.unit}
        assert bare == {"server.port"}

    def test_value_default_and_origin(self, run: Run) -> None:
        done = run("settings", "server", "--port", "81", KIROTRIO_SERVER_DRAIN="5")
        rows = {line.split()[0]: re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()}
        assert rows["server.port"] == ["server.port", "81", "-", "8000", "command line"]
        assert rows["server.drain"] == ["server.drain", "5", "seconds", "30", "environment KIROTRIO_SERVER_DRAIN"]
        assert "upstream.region" not in rows

    def test_large_and_small_numbers_are_written_out(self, run: Run) -> None:
        done = run("settings", "store", "--set", "store.look_every=0.00001", "--set", "store.max_pending=10000000")
        rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
        assert rows["store.keep_requests"][1] == "2592000"
        assert rows["store.look_every"][1] == "0.00001"
        assert rows["store.max_pending"][1] == "10000000"

    @pytest.mark.parametrize("form", [(), ("--json",), ("--meaning",)])
    def test_secrets_are_hidden(self, form: tuple[str, ...], run: Run) -> None:
        secret = "swordfish-swordfish"
        given = {option.variable: secret for option in options().values() if option.secret}
        given["KIROTRIO_UPSTREAM_PROXY_URL"] = f"http://me:{secret}@box:1"
        given["KIROTRIO_STORE_URL"] = f"postgresql://me:{secret}@box/db"
        done = run("settings", *form, **given)
        assert done.exit_code == 0
        assert secret not in done.output
        assert "(set)" in done.stdout

    def test_json_has_all_of_it(self, run: Run) -> None:
        done = run("settings", "--json", KIROTRIO_MODELS_ALIAS="fast=claude-haiku-4.5")
        rows = {row["name"]: row for row in json.loads(done.stdout)}
        assert set(rows) == set(options())
        assert rows["models.alias"]["value"] == {"fast": "claude-haiku-4.5"}
        assert rows["models.alias"]["from"] == "environment KIROTRIO_MODELS_ALIAS"
        assert rows["server.drain"] | {"meaning": ""} == {
            "name": "server.drain",
            "variable": "KIROTRIO_SERVER_DRAIN",
            "value": 30.0,
            "default": 30.0,
            "unit": "seconds",
            "choices": [],
            "from": "default",
            "meaning": "",
            "secret": False,
        }

    def test_files_are_read_where_they_are_named_and_in_the_configuration_folder(self, home: Path, run: Run) -> None:
        (home / "kirotrio.toml").write_text("[server]\nport = 1\n")  # the working folder, which is never read
        (home / ".env").write_text("KIROTRIO_PORT=2\n")
        assert run("settings", "server.port").stdout.splitlines()[1].split()[1:] == ["8000", "-", "8000", "default"]
        folder = home / ".config" / "kirotrio"
        folder.mkdir(parents=True)
        (folder / "kirotrio.toml").write_text("[server]\nport = 3\n")
        done = run("settings", "server.port")
        assert str(folder / "kirotrio.toml") in done.stdout.splitlines()[1]
        done = run("settings", "server.port", "--config", "kirotrio.toml", "--env-file", ".env")
        assert "env file .env: KIROTRIO_PORT" in done.stdout

    def test_notices_are_told_beside_the_table(self, run: Run) -> None:
        done = run("settings", PROXY_API_KEY="old-old-old-old-old")
        assert done.exit_code == 0
        assert "PROXY_API_KEY" in done.stderr
        assert "KIROTRIO_SERVER_API_KEY" in done.stderr

    def test_set_takes_any_setting_and_yields_to_its_own_option(self, run: Run) -> None:
        done = run("settings", "--set", "relay.attempts=2", "--set", "server.port=1", "--port", "2", "--json")
        rows = {row["name"]: row["value"] for row in json.loads(done.stdout)}
        assert (rows["relay.attempts"], rows["server.port"]) == (2, 2)
