"""A page opened in the person's browser."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from pathlib import Path

import pytest

from kirotrio.cli.terminal import open_page


def test_a_browser_gets_none_of_the_executable_s_own_libraries(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    script = tmp_path / "browser"
    script.write_text(f'#!/bin/sh\n{{ echo "$1"; /usr/bin/env; }} > {seen}\n')
    script.chmod(0o700)
    monkeypatch.setattr(webbrowser, "_tryorder", None)  # it reads BROWSER once
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    for name, value in {
        "BROWSER": str(script),
        "LD_LIBRARY_PATH": "/tmp/_MEI123",
        "LD_LIBRARY_PATH_ORIG": "/the/person's",
        "_PYI_ARCHIVE_FILE": "/tmp/_MEI123/kirotrio",
        "KEPT": "as it is",
    }.items():
        monkeypatch.setenv(name, value)
    open_page("http://127.0.0.1:1/page")
    for thread in threading.enumerate():
        if thread.name == "browser":
            thread.join(20)
    lines = seen.read_text().splitlines()
    assert lines[0] == "http://127.0.0.1:1/page"
    assert "LD_LIBRARY_PATH=/the/person's" in lines
    assert "KEPT=as it is" in lines
    assert not [line for line in lines if "_MEI" in line or line.startswith("_PYI")], "they are of no use to it"
    assert os.environ["KEPT"] == "as it is"
