"""The verbs that keep running, as real processes: what they print, how they stop, what they leave behind."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from support.sse import names_of, valid

from kirotrio.simulator import DEMO_REFRESH_TOKEN

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")

NOBODY = "http://127.0.0.1:1"
"""An upstream that is not there, so that no test asks the real one."""


class Running:
    """One started process. A thread takes what it says on stderr, so that nothing fills up."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        self._said: list[str] = []
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stderr:
            for raw in stderr:
                self._said.append(raw.decode())
                self._lines.put(self._said[-1])

    def line(self, pattern: str) -> re.Match[str]:
        """The next line of stdout that matches; fails with all that was said where the process ends before."""
        assert self.process.stdout is not None
        seen = []
        for raw in self.process.stdout:
            seen.append(raw.decode())
            if match := re.search(pattern, seen[-1]):
                return match
        raise AssertionError(f"no line like {pattern!r} in {''.join(seen)!r}; stderr: {self.errors()}")

    def wait_for_error(self, pattern: str) -> None:
        """Return once stderr has said it; queue.Empty after 20 seconds without a further line."""
        while not re.search(pattern, self._lines.get(timeout=20)):
            pass

    def errors(self) -> str:
        return "".join(self._said)

    def interrupt(self, how: int = signal.SIGINT) -> None:
        self.process.send_signal(how)

    def end(self) -> int:
        code = self.process.wait(20)
        self._listener.join(20)
        assert "Traceback" not in self.errors()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._listener.join(20)
        if self.process.stdout is not None:
            self.process.stdout.close()


Start = Callable[..., Running]


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """`start("serve", "--port", "0", KIROTRIO_LOG_LEVEL="error")`; whatever still runs at the end is killed."""
    started: list[Running] = []

    def call(*args: str, stdout: int = subprocess.PIPE, **environ: str) -> Running:
        process = subprocess.Popen(
            [sys.executable, "-m", "kirotrio", *args],
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, **environ},
        )
        started.append(Running(process))
        return started[-1]

    yield call
    for one in started:
        one.kill()


@contextmanager
def asking(url: str, key: str, text: str) -> Iterator[httpx.Response]:
    body = {
        "model": "claude-sonnet-4.5",
        "max_tokens": 1024,
        "stream": True,
        "messages": [{"role": "user", "content": text}],
    }
    with (
        httpx.Client(timeout=20, trust_env=False) as http,
        http.stream("POST", f"{url}/v1/messages", json=body, headers={"x-api-key": key}) as response,
    ):
        yield response


class TestDemo:
    def test_prints_a_command_that_works_as_printed_and_leaves_nothing(self, start: Start, tmp_path: Path) -> None:
        scratch = tmp_path / "scratch"
        scratch.mkdir()
        # Settings of the user's own would lead elsewhere: none of them counts.
        demo = start(
            "demo",
            "--port",
            "0",
            TMPDIR=str(scratch),
            KIROTRIO_UPSTREAM_URL=NOBODY,
            REFRESH_TOKEN="x",
            KIROTRIO_PORT="1",
        )
        url = demo.line(r"^kirotrio ready on (http://127\.0\.0\.1:\d+)$")[1]
        command = demo.line(r"^curl .*")[0]
        assert url in command
        assert "-sN" in shlex.split(command)
        if shutil.which("curl"):
            done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, timeout=30, check=True)
            assert done.stdout.startswith("event: message_start\n")
            assert names_of(done.stdout.encode())[-1] == "message_stop"
        assert demo.line(r"^OpenAI .*: +(\S+)$")[1] == f"{url}/v1"
        assert shlex.split(demo.line(r".* launch claude .*")[0])[-3:-1] == [url, "--api-key"]
        key = re.search(r"x-api-key: ([\w-]+)", command)
        assert key is not None
        with asking(url, key[1], "hello") as answer:
            assert names_of(answer.read())[-1] == "message_stop"
        assert list(scratch.iterdir()), "the demo keeps its files where temporary files go"

        demo.interrupt()
        assert demo.end() == 0
        assert list(scratch.iterdir()) == []
        assert not (Path(os.environ["HOME"]) / ".local").exists()

    def test_a_second_interrupt_ends_at_once_and_the_first_waits_for_answers(self, start: Start) -> None:
        demo = start("demo", "--port", "0", "--set", "server.drain=300")
        url = demo.line(r"^kirotrio ready on (\S+)$")[1]
        key = re.search(r"x-api-key: ([\w-]+)", demo.line(r"^curl .*")[0])
        assert key is not None
        with asking(url, key[1], "[[stall_after=3]] hello") as answer:
            pieces = answer.iter_bytes()
            assert b"message_start" in next(pieces)
            demo.interrupt()
            demo.wait_for_error('"stopping"')
            demo.interrupt()
            assert demo.end() == 130
            with pytest.raises(httpx.HTTPError):
                for _ in pieces:
                    pass

    def test_settings_of_the_simulator_are_taken(self, start: Start) -> None:
        demo = start("demo", "--port", "0", "--set", "simulator.context_pct=50", KIROTRIO_SIMULATOR_SCENARIO="thinking")
        url = demo.line(r"^kirotrio ready on (\S+)$")[1]
        key = re.search(r"x-api-key: ([\w-]+)", demo.line(r"^curl .*")[0])
        assert key is not None
        with asking(url, key[1], "hello") as answer:
            text = valid(answer.read()).decode()
        assert '"input_tokens":100000' in text
        demo.interrupt(signal.SIGTERM)
        assert demo.end() == 0


class TestServe:
    def test_first_run_away_from_a_terminal(self, start: Start, home: Path) -> None:
        serve = start("--port", "0", KIROTRIO_UPSTREAM_URL=NOBODY, KIROTRIO_AUTH_URL=NOBODY)
        assert serve.process.stdout is not None
        first = serve.process.stdout.readline().decode()
        assert re.fullmatch(r"kirotrio ready on http://127\.0\.0\.1:\d+\n", first), first + serve.errors()
        file = home / ".local" / "share" / "kirotrio" / "client-key"
        key = file.read_text().strip()
        assert str(file) in serve.line(r"export ANTHROPIC_AUTH_TOKEN=.*")[0]
        serve.line("ANTHROPIC_MODEL=claude-sonnet-4.5")

        url = first.split()[-1]
        assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
        assert httpx.post(f"{url}/v1/messages", json={}, trust_env=False).status_code == 401
        assert httpx.post(f"{url}/v1/messages", json={}, headers={"x-api-key": key}, trust_env=False).status_code == 400

        serve.interrupt(signal.SIGTERM)
        rest = serve.process.stdout.read()
        assert serve.end() == 0
        assert key not in serve.errors()
        assert key.encode() not in rest

    def test_first_run_on_a_terminal_shows_the_key(self, start: Start, home: Path) -> None:
        import pty

        ours, theirs = pty.openpty()
        serve = start("serve", "--port", "0", stdout=theirs, KIROTRIO_UPSTREAM_URL=NOBODY, KIROTRIO_AUTH_URL=NOBODY)
        os.close(theirs)
        seen = b""
        while b"messages.create" not in seen:
            seen += os.read(ours, 4096)
        key = (home / ".local" / "share" / "kirotrio" / "client-key").read_text().strip()
        assert f"ANTHROPIC_AUTH_TOKEN={key}" in seen.decode()
        serve.interrupt()
        assert serve.end() == 0
        os.close(ours)

    def test_a_configured_key_is_not_repeated(self, start: Start) -> None:
        key = "0123456789abcdef"
        serve = start(
            "serve",
            "--port",
            "0",
            "--log-level",
            "debug",
            KIROTRIO_API_KEY=key,
            REFRESH_TOKEN="a-refresh-token-of-some-length",
            KIROTRIO_UPSTREAM_URL=NOBODY,
            KIROTRIO_AUTH_URL=NOBODY,
        )
        url = serve.line(r"^kirotrio ready on (\S+)$")[1]
        assert httpx.get(f"{url}/health", trust_env=False).status_code == 200
        serve.interrupt()
        assert serve.process.stdout is not None
        assert serve.process.stdout.read() == b""
        assert serve.end() == 0
        assert "KIROTRIO_ACCOUNTS_REFRESH_TOKEN" in serve.errors(), "the notice about the old name"
        assert key not in serve.errors()
        assert "a-refresh-token-of-some-length" not in serve.errors()

    def test_listening_for_other_machines_with_the_generated_key_is_told(self, start: Start) -> None:
        serve = start("--host", "0.0.0.0", "--port", "0", KIROTRIO_UPSTREAM_URL=NOBODY, KIROTRIO_AUTH_URL=NOBODY)
        serve.line(r"^kirotrio ready on")
        serve.interrupt()
        assert serve.end() == 0
        (line,) = [line for line in serve.errors().splitlines() if "other machines" in line]
        assert "client-key" in line

    def test_an_address_in_use_is_one_sentence(self, start: Start) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            serve = start("serve", "--port", str(port), KIROTRIO_UPSTREAM_URL=NOBODY, KIROTRIO_AUTH_URL=NOBODY)
            assert serve.end() == 1
        (said,) = [line for line in serve.errors().splitlines() if line.startswith("kirotrio: ")]
        assert str(port) in said
        assert "--port" in said


class TestNobodyReads:
    """A reader of stdout that goes away, or never was, does not end a server."""

    @pytest.mark.parametrize(
        ("verb", "path"), [("serve", "/health"), ("demo", "/health"), ("simulate", "/_sim/requests")]
    )
    def test_the_reader_leaves_after_the_first_line(self, verb: str, path: str, start: Start) -> None:
        running = start(verb, "--port", "0", KIROTRIO_UPSTREAM_URL=NOBODY, KIROTRIO_AUTH_URL=NOBODY)
        assert running.process.stdout is not None
        url = running.process.stdout.readline().decode().split()[-1]
        running.process.stdout.close()
        assert httpx.get(url + path, trust_env=False).status_code == 200
        running.interrupt()
        assert running.end() == 0

    @pytest.mark.parametrize("verb", ["serve", "demo"])
    def test_stdout_is_closed_from_the_start(self, verb: str, home: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        running = Running(
            subprocess.Popen(
                ["/bin/sh", "-c", 'exec "$0" -m kirotrio "$@" >&-', sys.executable, verb, "--port", str(port)],
                stderr=subprocess.PIPE,
                env={**os.environ, "KIROTRIO_UPSTREAM_URL": NOBODY, "KIROTRIO_AUTH_URL": NOBODY},
            )
        )
        try:
            while True:
                assert running.process.poll() is None, running.errors()
                with contextlib.suppress(httpx.ConnectError):
                    assert httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200
                    break
            running.interrupt()
            assert running.end() == 0
        finally:
            running.kill()


class TestInterruptedStart:
    """Signals that come before there is a server to stop."""

    def run(self, signals: list[int]) -> subprocess.CompletedProcess[str]:
        """`serve` of which a part of the imports sends signals to its own process."""
        code = (
            "import os, sys, runpy\n"
            "class Finder:\n"
            "    def find_spec(self, name, path=None, target=None):\n"
            "        if name == 'kirotrio.web.serving':\n"
            f"            for number in {signals!r}: os.kill(os.getpid(), number)\n"
            "sys.meta_path.insert(0, Finder())\n"
            "sys.argv = ['kirotrio', 'demo', '--port', '0']\n"
            "runpy.run_module('kirotrio', run_name='__main__')\n"
        )
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_one_is_obeyed_and_nothing_begins(self, number: int, home: Path) -> None:
        done = self.run([int(number)])
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def test_two_end_at_once(self, home: Path) -> None:
        done = self.run([int(signal.SIGINT), int(signal.SIGINT)])
        assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


class TestSimulate:
    def test_is_ready_and_stops(self, start: Start) -> None:
        simulate = start("simulate", "--port", "0")
        url = simulate.line(r"^simulator ready on (http://127\.0\.0\.1:\d+)$")[1]
        assert httpx.get(f"{url}/_sim/requests", trust_env=False).status_code == 200
        simulate.interrupt()
        assert simulate.end() == 0

    def test_a_gateway_uses_it_and_the_doctor_is_content(
        self,
        start: Start,
        home: Path,
        program: Callable[..., subprocess.CompletedProcess[str]],
        tmp_path: Path,
    ) -> None:
        simulate = start("simulate", "--port", "0")
        line = simulate.line(r"KIROTRIO_UPSTREAM_URL=.*")[0]
        words = subprocess.run(["/bin/sh", "-c", f"printf '%s\\n' {line}"], capture_output=True, text=True, check=True)
        command = words.stdout.splitlines()
        environ = dict(word.split("=", 1) for word in command if word.startswith("KIROTRIO_"))
        options = command[command.index("serve") + 1 :]

        done = program("doctor", *options, **environ)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "nothing is wrong" in done.stdout
        assert re.search(r"ok +account: .* can use \d+ models: .*claude", done.stdout)

        for number in range(2):
            options[options.index("--data-dir") + 1] = str(tmp_path / f"new-{number}")  # as the shell does each time
            serve = start("serve", *options, **environ)
            url = serve.line(r"^kirotrio ready on (\S+)$")[1]
            assert "claude-sonnet-4.5" in serve.line(r"ANTHROPIC_MODEL=(\S+)")[1]
            key = Path(serve.line(r"Path\('([^']+)'\)")[1]).read_text().strip()
            with asking(url, key, "hello") as answer:
                assert names_of(answer.read())[-1] == "message_stop"
            serve.interrupt()
            assert serve.end() == 0
        assert not list(home.iterdir()), "something was left among the person's own files"

    def test_the_doctor_is_content_again_where_a_token_was_refused(
        self, start: Start, program: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
    ) -> None:
        simulate = start("simulate", "--port", "0")
        url = simulate.line(r"^simulator ready on (\S+)$")[1]
        environ = {"KIROTRIO_UPSTREAM_URL": url, "KIROTRIO_AUTH_URL": url}
        options = ("--refresh-token", DEMO_REFRESH_TOKEN, "--data-dir", str(tmp_path / "data"), "--port", "0")
        done = program("doctor", *options, **environ)
        assert done.returncode == 0, done.stdout + done.stderr
        assert httpx.post(f"{url}/_sim/expire", trust_env=False).is_success
        done = program("doctor", *options, **environ)
        assert done.returncode == 0, "a refused token is replaced, as the gateway does: " + done.stdout
