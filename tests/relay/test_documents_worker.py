"""The process that reads a document: how it is started, what it is given, and that it never outlives its caller."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
from support.files import pdf

from kirotrio.config.settings import DeadlineSettings, Settings
from kirotrio.relay import documents, extraction
from kirotrio.relay.documents import DocumentUnreadable, extract_text

PDF = "application/pdf"
ANSWER = '{"text": %s, "title": "", "pages": 0, "cut": false}'


def worker(monkeypatch: Any, script: str) -> None:
    """Another program in the worker's place."""
    monkeypatch.setattr(documents, "_command", lambda: [sys.executable, "-c", script])


def sleeper(folder: Path) -> str:
    return f"""
import os, time
open({str(folder)!r} + "/" + str(os.getpid()), "w").close()
time.sleep(600)
"""


def processes(folder: Path) -> list[int]:
    return [int(entry.name) for entry in folder.iterdir()]


async def started(folder: Path, count: int) -> None:
    with trio.fail_after(20):
        while len(processes(folder)) < count:  # noqa: ASYNC110 - another process has no event
            await trio.sleep(0.01)


def assert_gone(folder: Path) -> None:
    for pid in processes(folder):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_cancellation_kills_the_process_before_it_returns(tmp_path, monkeypatch):
    worker(monkeypatch, sleeper(tmp_path))
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            await extract_text(pdf("x"), PDF, settings=Settings())

        nursery.start_soon(read)
        await started(tmp_path, 1)
        nursery.cancel_scope.cancel()
    assert_gone(tmp_path)


async def test_a_document_that_takes_too_long_is_given_up_and_its_process_killed(tmp_path, monkeypatch):
    worker(monkeypatch, sleeper(tmp_path))
    with pytest.raises(DocumentUnreadable, match=r"could not be read within 0\.5 seconds"):
        await extract_text(pdf("x"), PDF, settings=Settings(deadlines=DeadlineSettings(extract=0.5)))
    assert_gone(tmp_path)


async def test_no_more_are_read_at_one_time_than_the_limiter_allows(tmp_path, monkeypatch):
    worker(monkeypatch, sleeper(tmp_path))
    limiter = trio.CapacityLimiter(2)
    async with trio.open_nursery() as nursery:

        async def read() -> None:
            await extract_text(pdf("x"), PDF, settings=Settings(), limiter=limiter)

        for _ in range(5):
            nursery.start_soon(read)
        await started(tmp_path, 2)
        assert limiter.statistics().tasks_waiting == 3
        assert len(processes(tmp_path)) == 2
        nursery.cancel_scope.cancel()
    assert_gone(tmp_path)


async def test_the_process_is_told_nothing_of_the_environment(monkeypatch):
    monkeypatch.setenv("KIROTRIO_SERVER_API_KEY", "sk-kt-secret")
    monkeypatch.setenv("HOME", "/somewhere")
    worker(monkeypatch, f"import json, os; print({ANSWER!r} % json.dumps(' '.join(os.environ)))")
    names = set((await extract_text(pdf("x"), PDF, settings=Settings())).text.split())
    assert names <= {*documents._VARIABLES, "LC_CTYPE"}, "Python itself sets LC_CTYPE"


@pytest.mark.parametrize(
    "script",
    ["import os; os.abort()", "raise SystemExit(3)", "print('{')", "pass"],
    ids=["crash", "exit", "half", "none"],
)
async def test_a_process_that_breaks_is_an_unreadable_document(monkeypatch, script):
    worker(monkeypatch, script)
    with pytest.raises(DocumentUnreadable, match="ended without an answer"):
        await extract_text(pdf("x"), PDF, settings=Settings())


async def test_processor_time_is_limited_where_the_system_can(monkeypatch):
    pytest.importorskip("resource")
    script = "from kirotrio.relay import extraction as e; e._limit(1 << 30, 1)\nwhile True: pass"
    worker(monkeypatch, script)
    with pytest.raises(DocumentUnreadable, match="takes too long"):
        await extract_text(pdf("x"), PDF, settings=Settings())


async def test_a_process_that_cannot_be_started_is_told(monkeypatch):
    monkeypatch.setattr(documents, "_command", lambda: ["/nonexistent/python"])
    with pytest.raises(DocumentUnreadable, match="could not be started"):
        await extract_text(pdf("x"), PDF, settings=Settings())


async def test_modules_of_the_working_folder_are_not_taken(tmp_path, monkeypatch):
    for name in ("pypdf", "json", "kirotrio"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken from the working folder')")
    monkeypatch.chdir(tmp_path)
    assert (await extract_text(pdf("words"), PDF, settings=Settings())).text == "words"


def test_the_executables_own_verb_is_the_same_process():
    order = {"kind": "pdf", "charset": "", "max_pages": 9, "max_text": 99, "max_memory": 1 << 30, "max_cpu": 30}
    done = subprocess.run(
        [sys.executable, "-m", "kirotrio", extraction.VERB],
        input=orjson.dumps(order) + b"\n" + pdf("words", title="T"),
        capture_output=True,
        check=True,
    )
    assert orjson.loads(done.stdout) == {"text": "words", "title": "T", "pages": 1, "cut": False}


def test_a_frozen_executable_calls_itself_with_that_verb(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert documents._command() == [sys.executable, extraction.VERB]
