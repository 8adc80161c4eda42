"""Answers that are recorded, where `recorder.requests` asks for it. Where it does not, none of this is loaded."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import attrs
import trio
from attrs import field

from kirotrio.classes import define, frozen
from kirotrio.config.secrets import secret_values
from kirotrio.config.settings import Settings
from kirotrio.kiro.client import Transport
from kirotrio.relay.answer import Answer
from kirotrio.relay.ports import Dialect, Sink
from kirotrio.relay.recorded import document
from kirotrio.relay.recording import Kept, ListeningSink, ListeningTransport, Sheet
from kirotrio.relay.request import AnswerRequest, Relay
from kirotrio.store.recordings import FOLDER
from kirotrio.store.request_record import RequestRecord
from kirotrio.store.ring import Ring
from kirotrio.telemetry.log import Log
from kirotrio.telemetry.recorder import Recorded, Recorder
from kirotrio.web.incoming import Incoming

NAMES: Final = ("message_id", "completion_id", "created", "response_id", "created_at")
"""What the dialects draw by lot or take from the clock, once an answer."""


@frozen
class Recording:
    """The flight recorder of one gateway process."""

    settings: Settings
    recorder: Recorder
    secrets: tuple[str, ...] = field(repr=False)

    def answer(self, relay: Relay, request: AnswerRequest, dialect: Dialect, incoming: Incoming, body: bytes) -> Answer:
        """The same answer, with a sheet beside it."""
        most, now = self.settings.recorder.max_part, trio.current_time()
        sent = Kept(most)
        sent.add(body, now)
        sheet = Sheet(
            request.request_id,
            time.time(),
            now,
            most,
            "POST",
            incoming.path,
            incoming.query,
            incoming.fields,
            sent,
            (request.wish.credential or "",),
            names={name: getattr(dialect, name) for name in NAMES if hasattr(dialect, name)},
        )
        listening = attrs.evolve(
            relay,
            transport=cast(Transport, ListeningTransport(relay.transport, sheet)),
            record=partial(_note, sheet, relay),
        )
        return RecordedAnswer(listening, request, dialect, sheet=sheet, recording=self)

    def put(self, sheet: Sheet) -> None:
        content = partial(document, sheet, self.settings, self.secrets)
        self.recorder.put(Recorded(sheet.id, sheet.at, sheet.size, content))


def open_recording(settings: Settings, data_dir: Path, keys: Iterable[str], log: Log) -> Recording:
    kept = settings.recorder
    ring = Ring(data_dir / FOLDER, kept.requests, kept.max_bytes)
    return Recording(settings, Recorder(ring.put, log), (*secret_values(settings), *keys))


def _note(sheet: Sheet, relay: Relay, record: RequestRecord) -> None:
    sheet.record = record
    relay.record(record)


@define(eq=False, kw_only=True)
class RecordedAnswer(Answer):
    """An answer that hands over what was recorded of it, however it ends."""

    sheet: Sheet
    recording: Recording

    async def run(self, sink: Sink) -> None:
        try:
            await super().run(ListeningSink(sink, self.sheet))
        finally:
            if not self._by_rule:  # or a key at its limit would push all else out of the ring
                self.sheet.told = self._told()
                self.recording.put(self.sheet)

    def _told(self) -> dict[str, Any]:
        request, attempts = self.request, self._attempts
        told: dict[str, Any] = {
            "mode": request.mode.value,
            "surface": request.surface,
            "estimate": self._estimate.tokens,
            "thinking": self.relay.settings.thinking.default,
        }
        if attempts is not None:
            told["account"] = attempts.account
            told["model"] = attrs.asdict(attempts.model)
        return told
