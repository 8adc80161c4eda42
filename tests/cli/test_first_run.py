"""The key that is made on first run, and what is refused (CONTRACT, Keys)."""

from __future__ import annotations

import ast
import os
import re
import shlex
import stat
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from kirotrio.cli import first_run
from kirotrio.cli.first_run import (
    best_model,
    beyond_loopback,
    check_key,
    is_loopback,
    kept_key,
    key_file,
    open_data_folder,
    welcome,
    with_client_key,
)
from kirotrio.config import Folders, LoadedSettings, load_settings
from kirotrio.errors import SettingsError

Run = Callable[..., Result]


def loaded(**overrides: Any) -> LoadedSettings:
    named = {name.replace("__", "."): value for name, value in overrides.items()}
    return load_settings(overrides=named, environ={}, folders=Folders())


class TestGeneratedKey:
    def test_is_made_kept_and_used_again(self, tmp_path: Path) -> None:
        folder = tmp_path / "a" / "b"
        first = with_client_key(loaded(data__dir=folder))
        key = first.settings.server.api_key
        assert re.fullmatch(r"sk-kt-[A-Za-z0-9_-]{32}", key)
        assert key_file(first) == folder / "client-key"
        assert (folder / "client-key").read_text() == key + "\n"
        assert [entry.name for entry in folder.iterdir()] == ["client-key"], "no draft is left behind"
        assert with_client_key(loaded(data__dir=folder)).settings.server.api_key == key

    def test_nobody_else_may_read_it(self, tmp_path: Path) -> None:
        folder = tmp_path / "data"
        with_client_key(loaded(data__dir=folder))
        assert stat.S_IMODE((folder / "client-key").stat().st_mode) == 0o600
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    def test_rights_of_others_are_taken_away(self, tmp_path: Path) -> None:
        (tmp_path / "client-key").write_text("sk-kt-0123456789abcdef\n")
        (tmp_path / "client-key").chmod(0o644)
        assert kept_key(tmp_path) == "sk-kt-0123456789abcdef"
        assert stat.S_IMODE((tmp_path / "client-key").stat().st_mode) == 0o600

    def test_two_gateways_that_start_together_agree(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Both have found no key before either has kept one."""
        both_looked = threading.Barrier(2)
        monkeypatch.setattr("os.getpid", threading.get_ident)

        def look_together(folder: Path) -> str:
            key = kept_key(folder)
            if not key:
                both_looked.wait(10)
            return key

        looked: list[int] = []

        def look(folder: Path) -> str:
            looked.append(1)
            return look_together(folder) if len(looked) <= 2 else kept_key(folder)

        monkeypatch.setattr(first_run, "kept_key", look)
        keys: list[str] = []
        starts = [
            threading.Thread(
                target=lambda: keys.append(with_client_key(loaded(data__dir=tmp_path)).settings.server.api_key)
            )
            for _ in range(2)
        ]
        for start in starts:
            start.start()
        for start in starts:
            start.join(20)
        assert len(keys) == 2
        assert keys[0] == keys[1] == (tmp_path / "client-key").read_text().strip()

    @pytest.mark.parametrize(
        "content",
        ["", "short", "schlüssel-schlüssel-schlüssel", "sk-kt-0123456789 abcdef", "sk-kt-0123456789abcdef\nmore"],
    )
    def test_a_damaged_file_is_a_sentence(self, content: str, tmp_path: Path) -> None:
        (tmp_path / "client-key").write_text(content)
        with pytest.raises(SettingsError, match="delete the file"):
            with_client_key(loaded(data__dir=tmp_path))

    def test_a_configured_key_needs_no_folder(self) -> None:
        configured = with_client_key(loaded(server__api_key="0123456789abcdef", data__dir="/dev/null/x"))
        assert configured.settings.server.api_key == "0123456789abcdef"
        assert key_file(configured) is None


class TestRefusals:
    def test_a_short_key_needs_permission(self) -> None:
        with pytest.raises(SettingsError, match="--allow-short-key"):
            with_client_key(loaded(server__api_key="0123456789abcde"))
        allowed = loaded(server__api_key="0123456789abcde", server__allow_short_key=True)
        assert with_client_key(allowed) is allowed

    @pytest.mark.parametrize("key", ["schlüssel-schlüssel", "0123456789 abcdef", "0123456789\u00a0abcdef"])
    def test_a_key_that_no_header_carries(self, key: str) -> None:
        with pytest.raises(SettingsError, match="cannot travel in a header") as caught:
            check_key(key, "somewhere", allow_short=True)
        assert key not in caught.value.message

    def test_an_unwritable_data_folder_names_the_setting(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(SettingsError) as caught:
            open_data_folder(loaded(data__dir=tmp_path / "file" / "data"))
        for part in ("data.dir (command line)", str(tmp_path), "--data-dir", "KIROTRIO_DATA_DIR"):
            assert part in caught.value.message

    def test_no_data_folder_at_all_names_the_setting(self) -> None:
        with pytest.raises(SettingsError, match=r"data\.dir: .*KIROTRIO_DATA_DIR"):
            open_data_folder(loaded())

    @pytest.mark.parametrize(
        ("host", "alone"),
        [
            ("127.0.0.1", True),
            ("127.9.9.9", True),
            ("::1", True),
            ("[::1]", True),
            ("localhost", True),
            ("LOCALHOST.", True),
            ("0.0.0.0", False),
            ("::", False),
            ("192.168.1.1", False),
            ("my-box", False),
            ("localhost.evil.example", False),
        ],
    )
    def test_who_can_reach_an_address(self, host: str, alone: bool) -> None:
        assert is_loopback(host) is alone

    def test_a_generated_key_that_others_can_try_is_told(self, tmp_path: Path) -> None:
        said = beyond_loopback(with_client_key(loaded(data__dir=tmp_path, server__host="0.0.0.0")))
        assert "0.0.0.0 can be reached from other machines" in said
        assert str(tmp_path / "client-key") in said
        assert beyond_loopback(with_client_key(loaded(data__dir=tmp_path))) == ""
        chosen = loaded(data__dir=tmp_path, server__host="0.0.0.0", server__api_key="0123456789abcdef")
        assert beyond_loopback(with_client_key(chosen)) == ""

    def test_an_empty_key_is_no_way_to_an_open_gateway(self, tmp_path: Path, run: Run) -> None:
        done = run("settings", "--json", "server.api_key", "--api-key", "")
        assert '"from": "default"' in done.stdout
        assert with_client_key(loaded(server__api_key="", data__dir=tmp_path)).settings.server.api_key


class TestWelcome:
    KEY = "sk-kt-0123456789abcdef"

    def test_on_a_terminal_it_has_the_key(self) -> None:
        lines = welcome(
            "http://127.0.0.1:8000", self.KEY, Path("/x/client-key"), terminal=True, model="claude-opus-4.5"
        )
        assert "export ANTHROPIC_BASE_URL=http://127.0.0.1:8000" in lines
        assert f"export ANTHROPIC_AUTH_TOKEN={self.KEY}" in lines
        assert "export ANTHROPIC_MODEL=claude-opus-4.5" in lines
        assert f'Anthropic(base_url="http://127.0.0.1:8000", api_key="{self.KEY}")' in lines

    def test_elsewhere_the_lines_read_the_key_when_they_are_run(self, tmp_path: Path) -> None:
        file = tmp_path / "it's a folder" / "client-key"
        file.parent.mkdir()
        file.write_text(self.KEY + "\n")
        lines = welcome("http://127.0.0.1:8000", self.KEY, file, terminal=False)
        assert self.KEY not in lines

        exports = [line for line in lines.splitlines() if "export" in line]
        script = "\n".join([*exports, 'printf "%s %s" "$ANTHROPIC_AUTH_TOKEN" "$ANTHROPIC_MODEL"'])
        done = subprocess.run(
            ["/bin/sh", "-c", script], capture_output=True, text=True, check=True, env={"PATH": os.defpath}
        )
        assert done.stdout == f"{self.KEY} claude-sonnet-4.5"

        calls = [line.strip() for line in lines.splitlines() if "client = " in line]
        assert len(calls) == 2, "Anthropic's and OpenAI's"
        for call in calls:
            words = [word for word in ast.walk(ast.parse(call)) if isinstance(word, ast.keyword)]
            (expression,) = [word.value for word in words if word.arg == "api_key"]
            assert eval(ast.unparse(expression)) == self.KEY
        assert lines.count("from pathlib import Path") == 2

    def test_it_has_openais_address_and_the_command_that_starts_a_client(self, tmp_path: Path) -> None:
        lines = welcome("http://0.0.0.0:8123", self.KEY, tmp_path / "client-key", terminal=True)
        assert f'OpenAI(base_url="http://127.0.0.1:8123/v1", api_key="{self.KEY}")' in lines
        assert " launch claude --url http://127.0.0.1:8123\n" in lines
        folder = tmp_path / "my data"
        lines = welcome("http://127.0.0.1:1", self.KEY, folder / "client-key", terminal=True, data_dir=folder)
        (command,) = [line for line in lines.splitlines() if " launch claude " in line]
        assert shlex.split(command)[-2:] == ["--data-dir", str(folder)]

    def test_launch_is_not_offered_where_it_does_not_send_the_kept_key(self, tmp_path: Path) -> None:
        lines = welcome("http://192.168.1.9:8000", self.KEY, tmp_path / "client-key", terminal=True)
        assert "OpenAI(base_url=" in lines
        assert "launch claude" not in lines

    @pytest.mark.parametrize(
        ("listening", "reached"),
        [("http://0.0.0.0:8000", "http://127.0.0.1:8000"), ("http://[::]:1", "http://[::1]:1")],
    )
    def test_an_address_that_means_every_one_is_no_address_to_call(self, listening: str, reached: str) -> None:
        lines = welcome(listening, self.KEY, None, terminal=True)
        assert f"ANTHROPIC_BASE_URL={reached}\n" in lines
        assert f"  {reached}/console\n" in lines, "nobody finds the console who is not told of it"

    @pytest.mark.parametrize(
        ("models", "best"),
        [
            ((), "claude-sonnet-4.5"),
            (("claude-opus-4.5", "claude-sonnet-4.5", "claude-sonnet-5"), "claude-sonnet-4.5"),
            (("auto", "claude-opus-4.5", "claude-sonnet-4", "claude-sonnet-4.6"), "claude-sonnet-4.6"),
            (("auto", "claude-haiku-4.5", "glm"), "claude-haiku-4.5"),
            (("auto",), "auto"),
        ],
    )
    def test_the_model_is_one_that_the_account_has(self, models: tuple[str, ...], best: str) -> None:
        assert best_model(models) == best


class TestKeysShow:
    def test_the_key_is_printed_on_a_terminal_only(self, tmp_path: Path, run: Run, monkeypatch: Any) -> None:
        key = with_client_key(loaded(data__dir=tmp_path)).settings.server.api_key
        done = run("keys", "show", "--data-dir", str(tmp_path))
        assert (done.exit_code, done.stdout) == (1, "")
        assert key not in done.stderr
        assert str(tmp_path / "client-key") in done.stderr

    @pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
    def test_on_a_terminal(self, tmp_path: Path, home: Path) -> None:
        import pty
        import sys

        key = with_client_key(loaded(data__dir=tmp_path)).settings.server.api_key
        ours, theirs = pty.openpty()
        done = subprocess.run(
            [sys.executable, "-m", "kirotrio", "keys", "show", "--data-dir", str(tmp_path)],
            stdout=theirs,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        os.close(theirs)
        assert (done.returncode, done.stderr) == (0, b"")
        assert os.read(ours, 1000).decode().strip() == key
        os.close(ours)

    def test_without_one_it_says_how_one_is_made(self, tmp_path: Path, run: Run) -> None:
        done = run("keys", "show", "--data-dir", str(tmp_path))
        assert done.exit_code == 1
        assert "`kirotrio serve` makes one" in done.stderr
        done = run("keys", "show", "--data-dir", str(tmp_path), KIROTRIO_API_KEY="0123456789abcdef")
        assert "the configured one (environment KIROTRIO_API_KEY)" in done.stderr
        assert "0123456789abcdef" not in done.stderr

    def test_a_key_that_the_gateway_would_refuse_is_not_shown(self, tmp_path: Path, run: Run) -> None:
        with_client_key(loaded(data__dir=tmp_path))
        done = run("keys", "show", "--data-dir", str(tmp_path), KIROTRIO_API_KEY="0123456789abcdef")
        assert done.exit_code == 1
        assert "the configured one (environment KIROTRIO_API_KEY)" in done.stderr
        assert "client-key" not in done.stderr

    def test_a_file_that_cannot_be_read_may_be_somebody_elses(
        self, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_client_key(loaded(data__dir=tmp_path))

        def refused(*_: object, **__: object) -> str:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_text", refused)
        done = run("keys", "show", "--data-dir", str(tmp_path))
        assert done.exit_code == 1
        assert "permission denied" in done.stderr
        assert "delete" not in done.stderr
