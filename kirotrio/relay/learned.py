"""What the token estimator has learned, kept over restarts: one small file in the data folder."""

from __future__ import annotations

from pathlib import Path

import attrs
import orjson
import trio

from kirotrio.conversation.calibration import FACTOR_BOUNDS, OFFSET_BOUNDS, Correction
from kirotrio.conversation.tokens import TokenEstimator
from kirotrio.store.files import private_folder, write_atomic
from kirotrio.telemetry.log import Log

FILE = "estimate-corrections.json"

_EVERY = 300.0
"""Seconds between two looks; a correction changes at most once a day."""

_LAST_WRITE = 2.0


def load_corrections(folder: Path) -> dict[str, Correction]:
    """The corrections by model family; empty where there are none or the file is not what we wrote. Blocking."""
    try:
        found = orjson.loads((folder / FILE).read_bytes())
        corrections = {str(family): Correction(**fields) for family, fields in found.items()}
        return {family: one for family, one in corrections.items() if _plausible(one)}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # it is learned again


async def keep_corrections(folder: Path, estimator: TokenEstimator, log: Log) -> None:
    """Write what changes, until cancelled; then once more, shielded for two seconds."""
    written = estimator.corrections()
    try:
        while True:
            await trio.sleep(_EVERY)
            written = await _write(folder, estimator, written, log)
    finally:
        with trio.move_on_after(_LAST_WRITE, shield=True):
            await _write(folder, estimator, written, log)


async def _write(
    folder: Path, estimator: TokenEstimator, written: dict[str, Correction], log: Log
) -> dict[str, Correction]:
    corrections = estimator.corrections()
    if corrections == written:
        return written
    content = orjson.dumps({family: attrs.asdict(one) for family, one in corrections.items()})

    def replace() -> None:
        write_atomic(private_folder(folder) / FILE, content)

    try:
        await trio.to_thread.run_sync(replace, abandon_on_cancel=True)
    except OSError as error:
        log.warning("token corrections not saved", error=str(error))
    return corrections


def _plausible(one: Correction) -> bool:
    changed = one.changed_at is None or isinstance(one.changed_at, int | float)
    return (
        changed
        and FACTOR_BOUNDS[0] <= one.factor <= FACTOR_BOUNDS[1]
        and OFFSET_BOUNDS[0] <= one.offset <= OFFSET_BOUNDS[1]
    )
