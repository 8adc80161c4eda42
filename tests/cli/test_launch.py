"""`kirotrio launch`: what a client is given, what is checked before it, and what is left alone."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import trio
from attrs import define, field
from click.testing import Result
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.stack import KEY, running

from kirotrio.cli import launch as verb
from kirotrio.cli.clients import CLIENTS, KEY_VARIABLE, ListedModel, Target, newest_of
from kirotrio.cli.programs import child_environment, find_program, own_command
from kirotrio.cli.shells import SHELLS

Run = Callable[..., Result]

LISTED = {
    "data": [
        {"id": "claude-sonnet-4.5", "display_name": "Sonnet", "max_input_tokens": 200_000, "max_tokens": 64_000},
        {"id": "claude-haiku-4.5", "display_name": "Haiku", "max_input_tokens": None, "max_tokens": None},
    ]
}
TARGET = Target(
    "http://127.0.0.1:1/cc",
    "sk-kt-secret-secret",
    "claude-sonnet-4.5",
    (ListedModel("claude-sonnet-4.5", "Sonnet", 200_000, 64_000), ListedModel("claude-haiku-4.5")),
)


@define
class StandIn:
    """Answers GET as `answers` says: path without query to status and JSON. `seen` has paths and sent keys."""

    answers: dict[str, tuple[int, Any]]
    url: str = ""
    key: str = KEY
    seen: list[tuple[str, str | None]] = field(factory=list)

    @property
    def keys_sent(self) -> set[str]:
        return {key for _, key in self.seen if key}


@pytest.fixture
def gateway() -> Iterator[StandIn]:
    """What a gateway answers to the questions of `launch`; the key is KEY unless it is changed."""
    standing = StandIn({"/health": (200, {"status": "ok"}), "/v1/models": (200, LISTED)})

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, sent = unquote(self.path.partition("?")[0]), self.headers.get("authorization")
            standing.seen.append((path, sent))
            status, body = standing.answers.get(path, (404, {"error": {"message": "no"}}))
            if path != "/health" and sent != f"Bearer {standing.key}":
                status, body = 401, {"error": {"message": "wrong key"}}
            text = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    standing.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    yield standing
    server.shutdown()
    thread.join(10)
    server.server_close()


@define
class Started:
    """What would have been run."""

    program: Path | None = None
    words: list[str] = field(factory=list)
    environment: dict[str, str] = field(factory=dict)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """Nothing is run; what would be is kept."""
    kept = Started()

    def keep(program: Path, words: list[str], environment: dict[str, str]) -> int:
        kept.program, kept.words, kept.environment = program, list(words), dict(environment)
        return 0

    monkeypatch.setattr(verb, "run_in_place", keep)
    return kept


def stub(folder: Path, name: str, script: str) -> Path:
    """A client that is a shell script, alone in a folder of its own."""
    folder.mkdir(exist_ok=True)
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return program


TELLS = f"""exec {sys.executable} -c '
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))' "$@" """


@pytest.fixture
def installed(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every client is on the PATH, as a stub that tells its arguments and environment."""
    folder = tmp_path / "installed"
    for client in CLIENTS.values():
        stub(folder, client.program, TELLS)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


class TestProcess:
    """The whole way, in processes of its own, against a gateway."""

    async def launch(self, url: str, *args: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
        environment = {**os.environ, "KIROTRIO_API_KEY": KEY, **environ}
        command = [sys.executable, "-m", "kirotrio", "launch", "--url", url, *args]
        with trio.fail_after(60):
            return await trio.run_process(
                command, env=environment, capture_stdout=True, capture_stderr=True, check=False
            )

    @pytest.mark.parametrize(
        "arguments", [["-p", "hi"], ["--help"], ["--"], ["", "ü $HOME 'x' \"y\"", "--", "--model"]]
    )
    async def test_a_client_gets_environment_and_arguments_and_no_file_changes(
        self, arguments: list[str], tmp_path: Path, installed: Path, home: Path
    ) -> None:
        (home / ".claude").mkdir()
        (home / ".claude" / "settings.json").write_text("{}")
        before = contents(home)
        async with running(tmp_path / "data") as stack:
            done = await self.launch(stack.url, "claude", "--", *arguments, ANTHROPIC_API_KEY="another", MINE="kept")
        assert (done.returncode, done.stderr) == (0, b"")
        words, environment = json.loads(done.stdout)
        assert words[-len(arguments) :] == arguments
        assert environment["ANTHROPIC_BASE_URL"] == stack.url
        assert environment["ANTHROPIC_AUTH_TOKEN"] == KEY
        assert environment["ANTHROPIC_MODEL"] == "claude-sonnet-4.5"
        assert environment["MINE"] == "kept"
        assert "ANTHROPIC_API_KEY" not in environment, "it would be sent beside our key"
        assert contents(home) == before

    async def test_the_exit_code_is_the_clients(self, tmp_path: Path, installed: Path) -> None:
        stub(installed, "codex", "exit 7")
        async with running(tmp_path / "data") as stack:
            done = await self.launch(stack.url, "codex")
        assert (done.returncode, done.stdout, done.stderr) == (7, b"", b"")

    @pytest.mark.skipif(os.name != "posix", reason="signals")
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    @pytest.mark.parametrize(("script", "code"), [("trap 'exit 42' INT TERM", 42), (":", None)])
    async def test_signals_are_the_clients(
        self, number: signal.Signals, script: str, code: int | None, tmp_path: Path, installed: Path, gateway: StandIn
    ) -> None:
        stub(installed, "claude", f"{script}\necho started\nwhile :; do sleep 0.05; done")
        command = [sys.executable, "-m", "kirotrio", "launch", "--url", gateway.url, "claude"]
        environment = {**os.environ, "KIROTRIO_API_KEY": KEY}
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                process = await nursery.start(
                    partial(trio.run_process, command, env=environment, stdout=subprocess.PIPE, check=False)
                )
                assert await process.stdout.receive_some(100) == b"started\n"
                process.send_signal(number)
                await process.wait()
        assert process.returncode == (-number if code is None else code)

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
    async def test_a_client_does_not_ignore_broken_pipes(
        self, tmp_path: Path, installed: Path, gateway: StandIn
    ) -> None:
        stub(installed, "claude", "exec grep SigIgn /proc/self/status")
        done = await self.launch(gateway.url, "claude")
        ignored = int(done.stdout.split()[1], 16)
        assert not ignored >> (signal.SIGPIPE - 1) & 1, "the interpreter's own choice was passed on"

    async def test_another_name_of_a_model_is_taken_and_a_wrong_key_is_not(
        self, tmp_path: Path, installed: Path
    ) -> None:
        async with running(tmp_path / "data") as stack:
            alias = await self.launch(stack.url, "--model", "claude-sonnet-4-5", "codex")
            nothing = await self.launch(stack.url, "--model", "gpt-2", "codex")
            wrong = await self.launch(stack.url, "codex", KIROTRIO_API_KEY="sk-kt-swordfish-swordfish")
        assert {"model=claude-sonnet-4-5", "model_context_window=200000"} <= {*json.loads(alias.stdout)[0]}
        assert nothing.returncode == wrong.returncode == 1
        assert b"has no model gpt-2; it has " in nothing.stderr
        assert b"claude-sonnet-4.5" in nothing.stderr
        assert b"refuses the key (environment KIROTRIO_API_KEY)" in wrong.stderr
        assert b"swordfish" not in wrong.stderr


class TestChecks:
    def test_no_gateway(self, run: Run, gateway: StandIn, installed: Path, started: Started) -> None:
        done = run("launch", "claude", "--set", "server.port=9", KIROTRIO_API_KEY=KEY)
        assert (done.exit_code, done.stdout, started.program) == (1, "", None)
        assert done.stderr.startswith("kirotrio: no gateway answers at http://127.0.0.1:9 (")
        assert done.stderr.endswith(
            "start one with `kirotrio serve` in another terminal, or give its address with --url\n"
        )
        assert done.stderr.count("\n") == 1

    @pytest.mark.parametrize("answer", [(404, b"<html>"), (200, b"fine"), (200, ["ok"]), (200, {"ok": 1})])
    def test_what_is_no_gateway_is_sent_no_key(
        self, answer: tuple[int, Any], run: Run, gateway: StandIn, installed: Path, started: Started
    ) -> None:
        gateway.answers["/health"] = answer
        done = run("launch", "claude", "--url", gateway.url, KIROTRIO_API_KEY=KEY)
        assert (done.exit_code, started.program) == (1, None)
        assert "is no kirotrio" in done.stderr
        assert gateway.seen == [("/health", None)]

    def test_a_gateway_that_does_not_answer_in_time(self, run: Run, installed: Path, started: Started) -> None:
        import socket

        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            done = run("launch", "claude", "--url", url, "--set", "deadlines.connect=0.2", KIROTRIO_API_KEY=KEY)
        assert (done.exit_code, started.program) == (1, None)
        assert "did not answer /health within 0.2 seconds" in done.stderr

    @pytest.mark.parametrize(
        ("answer", "said"),
        [((503, {"error": {"message": "come back later"}}), "come back later"), ((500, b"oh"), "look at what it logs")],
    )
    def test_a_gateway_that_cannot_list_models(
        self, answer: tuple[int, Any], said: str, run: Run, gateway: StandIn, installed: Path, started: Started
    ) -> None:
        gateway.answers["/v1/models"] = answer
        done = run("launch", "claude", "--url", gateway.url, KIROTRIO_API_KEY=KEY)
        assert (done.exit_code, started.program) == (1, None)
        assert f"does not tell its models (status {answer[0]}): {said}" in done.stderr

    @pytest.mark.parametrize("client", CLIENTS.values(), ids=lambda client: client.name)
    def test_a_client_that_is_not_installed(
        self, client: Any, run: Run, gateway: StandIn, tmp_path: Path, started: Started
    ) -> None:
        done = run("launch", client.name, "--url", gateway.url, KIROTRIO_API_KEY=KEY, PATH=str(tmp_path))
        assert (done.exit_code, started.program) == (1, None)
        assert done.stderr == (
            f"kirotrio: {client.title} is not installed (no {client.program} on the PATH); "
            f"install it with `{client.install}`\n"
        )

    def test_the_list_says_what_is_installed(self, run: Run, tmp_path: Path, home: Path) -> None:
        program = stub(tmp_path / "bin", "codex", "")
        done = run("launch", PATH=str(tmp_path / "bin"))
        lines = {line.split()[0]: line for line in done.stdout.splitlines()}
        assert done.exit_code == 0
        assert list(lines) == list(CLIENTS)
        assert lines["codex"].endswith(f": {program}")
        assert lines["aider"].endswith(f"not installed; install it with `{CLIENTS['aider'].install}`")

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (("nothing",), "there is no client 'nothing'; there are claude, codex, "),
            (("claude", "--url", "127.0.0.1:8000"), "it must be an address like http://127.0.0.1:8000"),
            (("claude", "--url", "http://me@box:8000"), "it must be an address like"),
            (("claude", "--url", "http://box:80000"), "it must be an address like"),
            (("claude", "--url", "http://box/?a=b"), "it must be an address like"),
            (("claude", "--set", "server.port=0"), "give its address with --url"),
            (("claude", "-p", "hi"), "behind --, as in `kirotrio launch claude -- -p`; see"),
            (("--buffered", "codex", "--version"), "behind --, as in `kirotrio launch codex -- --version`; see"),
            (("--modle", "x", "claude"), "no such option '--modle'"),
            (("claude", "--shell", "csh"), "'csh' is not one of"),
        ],
    )
    def test_wrong_usage(self, args: tuple[str, ...], said: str, run: Run, home: Path, started: Started) -> None:
        done = run("launch", *args, KIROTRIO_API_KEY=KEY)
        assert (done.exit_code, done.stdout, started.program) == (2, "", None)
        assert said in done.stderr
        assert "see `kirotrio launch --help`" in done.stderr
        assert "--print" not in done.stderr

    def test_without_a_key_it_says_how_one_is_made(self, run: Run, gateway: StandIn, tmp_path: Path) -> None:
        done = run("launch", "claude", "--url", gateway.url, "--data-dir", str(tmp_path))
        assert done.exit_code == 1
        assert "`kirotrio serve` makes one" in done.stderr
        assert list(tmp_path.glob("client-key")) == [], "launch makes no key"

    def test_a_key_that_no_header_carries_is_told(self, run: Run, gateway: StandIn) -> None:
        done = run("launch", "claude", "--url", gateway.url, KIROTRIO_API_KEY="schlüssel-schlüssel")
        assert (done.exit_code, gateway.seen) == (1, [])
        assert "cannot travel in a header" in done.stderr

    @pytest.mark.parametrize("url", ["http://a..b:1", "http://[::1]:9", "https://127.0.0.1:9"])
    def test_an_address_that_leads_nowhere(self, url: str, run: Run, started: Started) -> None:
        done = run("launch", "claude", "--url", url, KIROTRIO_API_KEY=KEY)
        assert (done.exit_code, started.program) == (1, None)
        assert done.stderr.startswith(f"kirotrio: no gateway answers at {url} (")

    @pytest.mark.parametrize("url", ["https://kiro.example.com", "http://192.168.1.9:8000"])
    def test_the_kept_key_stays_on_this_machine(self, url: str, run: Run, tmp_path: Path) -> None:
        (tmp_path / "client-key").write_text(KEY + "\n")
        done = run("launch", "claude", "--print", "--url", url, "--data-dir", str(tmp_path))
        assert (done.exit_code, done.stdout) == (1, "")
        assert f"no key is configured for {url}; give it in KIROTRIO_API_KEY or with --api-key" in done.stderr


class TestAddress:
    @pytest.mark.parametrize(
        ("given_url", "options", "base"),
        [
            ("{}", (), "{}"),
            ("{}/", (), "{}"),
            ("{}/v1", (), "{}"),
            ("{}/cc/v1/", (), "{}/cc"),
            ("{}", ("--buffered",), "{}/cc"),
            ("{}/cc", ("--buffered",), "{}/cc"),
        ],
    )
    def test_forms_of_an_address(
        self,
        given_url: str,
        options: tuple[str, ...],
        base: str,
        run: Run,
        gateway: StandIn,
        installed: Path,
        started: Started,
    ) -> None:
        url = given_url.format(gateway.url)
        done = run("launch", "claude", "--url", url, *options, KIROTRIO_API_KEY=KEY)
        assert done.exit_code == 0, done.stderr
        assert started.environment["ANTHROPIC_BASE_URL"] == base.format(gateway.url)
        assert {path for path, _ in gateway.seen} == {"/health", "/v1/models"}

    @pytest.mark.parametrize(
        ("host", "reached"),
        [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("localhost", "localhost")],
    )
    def test_the_settings_say_where_the_gateway_is(self, host: str, reached: str, run: Run) -> None:
        done = run("launch", "claude", "--print", KIROTRIO_HOST=host, KIROTRIO_PORT="9", KIROTRIO_API_KEY=KEY)
        assert f"http://{reached}:9 (" in done.stderr, done.stderr
        assert f"http://{reached}:9" in done.stdout.splitlines()[0]

    @pytest.mark.parametrize(
        ("environ", "kept_out"),
        [
            ({}, None),
            ({"HTTPS_PROXY": "http://box:1"}, "127.0.0.1"),
            ({"http_proxy": "http://box:1", "no_proxy": "a.example, b"}, "a.example,b,127.0.0.1"),
            ({"ALL_PROXY": "http://box:1", "NO_PROXY": "127.0.0.1"}, "127.0.0.1"),
            ({"ALL_PROXY": "http://box:1", "NO_PROXY": "*"}, "*"),
            ({"HTTP_PROXY": ""}, None),
        ],
    )
    def test_a_gateway_on_this_machine_is_not_asked_through_a_proxy(
        self,
        environ: dict[str, str],
        kept_out: str | None,
        run: Run,
        gateway: StandIn,
        installed: Path,
        started: Started,
    ) -> None:
        done = run("launch", "claude", "--url", gateway.url, KIROTRIO_API_KEY=KEY, **environ)
        assert done.exit_code == 0, f"the check itself went through the proxy: {done.stderr}"
        said = {value for name, value in started.environment.items() if name.upper() == "NO_PROXY"}
        assert said == ({kept_out} if kept_out is not None else set())


class TestTable:
    @pytest.mark.parametrize("client", CLIENTS.values(), ids=lambda client: client.name)
    def test_the_key_is_in_its_variable_and_nowhere_else(self, client: Any) -> None:
        told = [*client.arguments(TARGET), *client.firm(TARGET), *client.variables(TARGET).values()]
        assert not any(TARGET.key in text for text in told), "arguments can be read by other users"
        assert client.key not in {*client.variables(TARGET), *client.cleared}
        assert not {*client.cleared} & {*client.variables(TARGET)}
        assert TARGET.key not in repr(TARGET)

    @pytest.mark.parametrize("client", CLIENTS.values(), ids=lambda client: client.name)
    def test_address_and_model_are_told_even_where_quotes_are_lost(self, client: Any) -> None:
        told = " ".join([*client.arguments(TARGET), *client.variables(TARGET).values()])
        assert TARGET.root in told
        assert TARGET.model in told
        assert '"' not in " ".join(client.arguments(TARGET))

    @given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1))
    @example("true")
    @example("1.5")
    @example("'x'")
    @example("[1]")
    def test_codex_reads_each_value_as_the_string_it_is(self, model: str) -> None:
        arguments = CLIENTS["codex"].arguments(Target("http://[::1]:1", "k", model))
        read: dict[str, Any] = {}
        for flag, assignment in zip(arguments[::2], arguments[1::2], strict=True):
            assert flag == "-c"
            name, _, value = assignment.partition("=")
            try:  # what `codex --help` says of -c
                read[name] = tomllib.loads(f"value = {value}")["value"]
            except tomllib.TOMLDecodeError:
                read[name] = value
        assert read["model"] == model
        assert read["model_providers.kirotrio.base_url"] == "http://[::1]:1/v1"
        assert read["model_providers.kirotrio.env_key"] == KEY_VARIABLE

    def test_codex_is_told_the_window_that_it_cannot_know(self) -> None:
        assert "model_context_window=200000" in CLIENTS["codex"].arguments(TARGET)

    @pytest.mark.parametrize("chosen", ["claude-sonnet-4.5", "my-alias"])
    def test_opencode_knows_every_model_and_the_chosen_one(self, chosen: str) -> None:
        target = Target(TARGET.root, TARGET.key, chosen, TARGET.models)
        config = json.loads(CLIENTS["opencode"].variables(target)["OPENCODE_CONFIG_CONTENT"])
        models = config["provider"]["kirotrio"]["models"]
        assert list(models) == list(dict.fromkeys([*(model.id for model in TARGET.models), chosen]))
        assert models["claude-sonnet-4.5"]["limit"] == {"context": 200_000, "output": 64_000}
        assert "limit" not in models["claude-haiku-4.5"]
        assert config["model"] == f"kirotrio/{chosen}"
        assert config["small_model"] == "kirotrio/claude-haiku-4.5"

    @pytest.mark.parametrize(
        ("ids", "newest"),
        [
            (["claude-opus-4.9", "claude-opus-4.10", "claude-haiku-5"], "claude-opus-4.10"),
            (["claude-opus-4", "claude-opus-4.5"], "claude-opus-4.5"),
            (["claude-haiku-5"], ""),
            ([], ""),
        ],
    )
    def test_the_newest_of_a_family(self, ids: list[str], newest: str) -> None:
        assert newest_of("claude-opus", [*map(ListedModel, ids)]) == newest


NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,9}", fullmatch=True).map(lambda name: f"T_{name}")
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"))


class TestOtherSpelling:
    """A model by a name that the gateway resolves and does not list."""

    NAME = "claude-sonnet-4-5-20250929"

    def environment(self, run: Run, gateway: StandIn, started: Started, client: str) -> dict[str, str]:
        gateway.answers[f"/v1/models/{self.NAME}"] = (200, LISTED["data"][0])
        done = run("launch", "--url", gateway.url, "--model", self.NAME, client, KIROTRIO_API_KEY=KEY)
        assert done.exit_code == 0, done.stderr
        return started.environment

    def test_codex_has_the_window(self, run: Run, gateway: StandIn, installed: Path, started: Started) -> None:
        self.environment(run, gateway, started, "codex")
        assert {f"model={self.NAME}", "model_context_window=200000"} <= {*started.words}

    def test_copilot_has_the_limits(self, run: Run, gateway: StandIn, installed: Path, started: Started) -> None:
        environment = self.environment(run, gateway, started, "copilot")
        assert environment["COPILOT_PROVIDER_MAX_PROMPT_TOKENS"] == "200000"
        assert environment["COPILOT_PROVIDER_MAX_OUTPUT_TOKENS"] == "64000"

    def test_opencode_has_one_entry_with_limits(
        self, run: Run, gateway: StandIn, installed: Path, started: Started
    ) -> None:
        config = json.loads(self.environment(run, gateway, started, "opencode")["OPENCODE_CONFIG_CONTENT"])
        models = config["provider"]["kirotrio"]["models"]
        assert list(models) == ["claude-sonnet-4.5", "claude-haiku-4.5", self.NAME]
        assert models[self.NAME]["limit"] == {"context": 200_000, "output": 64_000}

    def test_its_date_is_no_version(self, run: Run, gateway: StandIn, installed: Path, started: Started) -> None:
        environment = self.environment(run, gateway, started, "claude")
        assert environment["ANTHROPIC_MODEL"] == self.NAME
        assert environment["ANTHROPIC_DEFAULT_SONNET_MODEL"] == "claude-sonnet-4.5"

    def test_an_answer_that_tells_nothing_is_no_harm(
        self, run: Run, gateway: StandIn, installed: Path, started: Started
    ) -> None:
        gateway.answers["/v1/models/mine"] = (200, ["?"])
        done = run("launch", "--url", gateway.url, "--model", "mine", "codex", KIROTRIO_API_KEY=KEY)
        assert (done.exit_code, "model=mine" in started.words) == (0, True)


class TestOddKeys:
    """A key is whatever the person chose; OpenCode pastes it into the text of its JSON."""

    ODD = 'a"b\\c{d}-0123456789'

    @given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
    def test_opencode_reads_the_key_that_was_meant(self, key: str) -> None:
        config = CLIENTS["opencode"].variables(TARGET)["OPENCODE_CONFIG_CONTENT"]
        read = json.loads(config.replace(f"{{env:{KEY_VARIABLE}}}", CLIENTS["opencode"].written_key(key)))
        assert read["provider"]["kirotrio"]["options"]["apiKey"] == key

    @pytest.mark.parametrize("client", CLIENTS)
    def test_the_variable_and_the_printed_lines_agree(
        self, client: str, run: Run, gateway: StandIn, installed: Path, started: Started, tmp_path: Path
    ) -> None:
        folder = tmp_path / "data"
        folder.mkdir()
        (folder / "client-key").write_text(self.ODD + "\n")
        gateway.key = self.ODD
        args = ("--url", gateway.url, "--data-dir", str(folder), client)
        run("launch", *args)
        name = CLIENTS[client].key
        written = json.dumps(self.ODD)[1:-1] if client == "opencode" else self.ODD
        assert started.environment[name] == written
        lines = run("launch", "--print", *args).stdout
        done = subprocess.run(["bash", "-c", lines], capture_output=True, timeout=60, check=True)
        assert json.loads(done.stdout)[1][name] == written


class TestShells:
    """Only shells that are here can be asked."""

    @pytest.mark.parametrize(
        ("name", "program"),
        [
            pytest.param(name, program, marks=pytest.mark.skipif(not shutil.which(program), reason=f"needs {program}"))
            for name, program in (("bash", "bash"), ("fish", "fish"), ("powershell", "pwsh"))
        ],
    )
    @settings(max_examples=25)
    @given(variables=st.dictionaries(NAMES, VALUES, max_size=3), words=st.lists(VALUES, max_size=3))
    @example(variables={"T_A": "it's $HOME `x` \\ \" ’ ‘"}, words=["", "-n", "a\nb", "*", "~", "#", "\\'"])
    def test_values_come_out_as_they_went_in(
        self, name: str, program: str, variables: dict[str, str], words: list[str]
    ) -> None:
        tell = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
        shell = SHELLS[name]
        kept = words if shell.whole_quotes else [word.replace('"', "") for word in words if word]
        lines = shell.lines(variables, ["T_GONE"], [sys.executable, "-c", tell.replace(", ", ","), *kept])
        done = subprocess.run(
            [program, "-c", "\n".join(lines)],
            capture_output=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "T_GONE": "here"},
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        said, environment = json.loads(done.stdout)
        assert said == kept
        assert {key: value for key, value in environment.items() if key.startswith("T_")} == variables

    @given(VALUES)
    @example("it's ’ two")
    def test_powershell_ends_a_string_at_no_quote_of_ours(self, value: str) -> None:
        """The rule of its language reference: any two of its five single quotes stand for the first of them."""
        (line, _) = SHELLS["powershell"].lines({"NAME": value}, [], ["x"])
        written = line.removeprefix("$env:NAME = '")
        read, rest = "", written
        while rest and not (rest[0] in "'‘’‚‛" and (len(rest) == 1 or rest[1] not in "'‘’‚‛")):
            read += rest[0]
            rest = rest[2:] if rest[0] in "'‘’‚‛" else rest[1:]
        assert (read, rest) == (value, "'")


class TestPrint:
    def evaluated(self, lines: str, installed: Path) -> tuple[list[str], dict[str, str]]:
        done = subprocess.run(["bash", "-c", lines], capture_output=True, timeout=60, check=True)
        words, environment = json.loads(done.stdout)
        return words, environment

    @pytest.mark.parametrize("client", CLIENTS)
    def test_the_lines_do_what_launch_does(
        self, client: str, run: Run, gateway: StandIn, installed: Path, started: Started
    ) -> None:
        args = ("--url", gateway.url, client, "--", "it's", 'a "b" $c')
        run("launch", *args, KIROTRIO_API_KEY=KEY, COPILOT_PROVIDER_BEARER_TOKEN="x", CLAUDE_CODE_USE_VERTEX="1")
        lines = run("launch", "--print", *args).stdout
        words, environment = self.evaluated(lines, installed)
        assert words == started.words[1:]
        for shells_own in ("_", "SHLVL", "PWD", "OLDPWD", "COLUMNS", "LINES", "LC_CTYPE"):
            environment.pop(shells_own, None)
        assert environment == started.environment

    def test_claude_is_held_here_against_its_own_settings_file_before_the_persons_arguments(
        self, run: Run, gateway: StandIn, installed: Path, started: Started
    ) -> None:
        run("launch", "--url", gateway.url, "claude", "--", "-p", KIROTRIO_API_KEY=KEY)
        name, flag, settings, own = started.words
        assert (name, flag, own) == ("claude", "--settings", "-p")
        held = {"ANTHROPIC_BASE_URL": gateway.url, "ANTHROPIC_MODEL": "claude-sonnet-4.5"}
        assert json.loads(settings) == {"env": held}
        lines = run("launch", "--print", "--shell", "powershell", "--url", gateway.url, "claude", "--", "-p").stdout
        assert lines.splitlines()[-1] == "& 'claude' '-p'", "a PowerShell may lose the quotes of such an argument"

    @pytest.mark.parametrize("shell", SHELLS)
    def test_a_kept_key_is_read_when_the_lines_are_run(
        self, shell: str, run: Run, gateway: StandIn, installed: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "it's a folder"
        folder.mkdir()
        (folder / "client-key").write_text(KEY + "\n")
        (folder / "client-key").chmod(0o600)
        done = run("launch", "--print", "--shell", shell, "--url", gateway.url, "--data-dir", str(folder), "codex")
        assert done.exit_code == 0, done.stderr
        assert KEY not in done.stdout
        assert stat.S_IMODE((folder / "client-key").stat().st_mode) == 0o600
        if shell == "bash":
            _, environment = self.evaluated(done.stdout, installed)
            assert environment[KEY_VARIABLE] == KEY

    def test_without_a_gateway_the_lines_are_there_all_the_same(self, run: Run, installed: Path) -> None:
        done = run("launch", "--print", "aider", "--url", "http://127.0.0.1:9", KIROTRIO_API_KEY=KEY)
        assert done.exit_code == 0
        assert done.stdout.splitlines()[-1] == (
            "aider --model openai/claude-sonnet-4.5 --openai-api-base http://127.0.0.1:9/v1"
        )
        assert "no gateway answers at http://127.0.0.1:9 (" in done.stderr
        assert done.stderr.count("\n") == 1

    def test_a_wrong_key_is_told_all_the_same(self, run: Run, gateway: StandIn, installed: Path) -> None:
        done = run("launch", "--print", "aider", "--url", gateway.url, KIROTRIO_API_KEY="sk-kt-another-another")
        assert (done.exit_code, done.stdout) == (1, "")
        assert "refuses the key" in done.stderr

    def test_it_needs_no_client(self, run: Run, gateway: StandIn, tmp_path: Path) -> None:
        done = run("launch", "--print", "qwen", "--url", gateway.url, KIROTRIO_API_KEY=KEY, PATH=str(tmp_path))
        assert done.stdout.splitlines()[-1] == "qwen --auth-type openai --model claude-sonnet-4.5"


class TestPrograms:
    def test_only_absolute_folders_are_looked_into(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        stub(tmp_path / "repo", "claude", "")
        (tmp_path / "repo" / "bin").mkdir()
        stub(tmp_path / "repo" / "bin", "claude", "")
        right = stub(tmp_path / "right", "claude", "")
        monkeypatch.chdir(tmp_path / "repo")
        for path in ("", ".", "bin", os.pathsep):
            assert find_program("claude", path) is None
        assert find_program("claude", os.pathsep.join(["", ".", "bin", str(tmp_path / "right")])) == right

    def test_what_the_one_file_executable_added_stays_with_it(self) -> None:
        inside = {"_PYI_ARCHIVE_FILE": "x", "LD_LIBRARY_PATH": "/tmp/_MEI1", "LD_LIBRARY_PATH_ORIG": "/mine", "A": "b"}
        assert child_environment(inside, frozen=True) == {"LD_LIBRARY_PATH": "/mine", "A": "b"}
        without = {"LD_LIBRARY_PATH": "/tmp/_MEI1", "A": "b"}
        assert child_environment(without, frozen=True) == {"A": "b"}
        assert child_environment(inside, frozen=False) == inside

    def test_a_printed_command_calls_this_program_where_no_path_leads_to_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert own_command() == f"{sys.executable} -m kirotrio"
        monkeypatch.setattr(sys, "frozen", True, raising=False)
        monkeypatch.setattr(sys, "executable", "/my tools/kirotrio")
        assert own_command() == "'/my tools/kirotrio'"
        stub(tmp_path, "kirotrio", "")
        assert own_command() == "kirotrio"
