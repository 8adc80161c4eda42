"""Learned corrections outlive the process."""

from __future__ import annotations

import pytest
import trio

from kirotrio.conversation.calibration import Correction
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.relay.learned import FILE, keep_corrections, load_corrections
from kirotrio.telemetry.log import RecordingLog

NOW = 1_800_000_000.0


def taught() -> TokenEstimator:
    estimator = TokenEstimator()
    for _ in range(3):
        estimator.learn("claude", 40_000, 60_000, NOW)
    return estimator


async def test_what_was_learned_is_there_after_a_restart(tmp_path):
    estimator = TokenEstimator()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_corrections, tmp_path, estimator, RecordingLog())
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            estimator.learn("claude", 40_000, 60_000, NOW)
        nursery.cancel_scope.cancel()
    assert estimator.corrections(), "nothing was learned from three answers that were half as large again"
    assert load_corrections(tmp_path) == estimator.corrections()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{", b'{"claude": {"factor": 99, "offset": 0}}', b'{"claude": {"factor": "x", "offset": 0}}'],
)
def test_a_file_that_is_not_ours_is_learned_anew(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    assert load_corrections(tmp_path) == {}


def test_a_correction_that_was_kept_is_used(tmp_path):
    kept = {"claude": Correction(1.5, 1000.0, NOW)}
    assert TokenEstimator(corrections=kept).corrections() == kept


async def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    log, estimator = RecordingLog(), TokenEstimator()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_corrections, tmp_path / "file", estimator, log)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            estimator.learn("claude", 40_000, 60_000, NOW)
        nursery.cancel_scope.cancel()
    assert log.events("warning") == ["token corrections not saved"]


async def test_measured_answers_teach_the_estimator(stage, autojump_clock):
    from relay.conftest import hello
    from support.scripted import answering, tail, text

    from kirotrio.conversation.request import Text, Turn

    long = hello(turns=(Turn("user", (Text("word " * 40_000),), "messages.0"),))
    scene = stage(answering(text("ok"), tail(percentage=40.0)))
    before = scene.relay.estimator.corrections()
    for _ in range(3):
        await scene.run(conversation=long)
    assert scene.relay.estimator.corrections() != before
