"""The structured log: a value that is passed along, never configured for the whole process.

A line has `timestamp` (UTC), `level`, `event` and the fields of the call, for people on a terminal and as JSON
otherwise. Secrets are taken out of every line, see `redact`.

What people read is structlog's. It loads whatever could colour a traceback, which takes a seventh of a second; lines of
JSON, which services and containers get, are made here instead, so that starting one does not wait for that.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Protocol, TextIO, cast, final

from kirotrio.config.settings import LogSettings
from kirotrio.telemetry.redact import Redactor

# Everything that steers a terminal, line ends included: fields may hold what a client or the upstream sent.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


class Log(Protocol):
    """`event` is a short constant sentence; what varies goes into the fields. Nothing is ever raised."""

    def debug(self, event: str, **fields: Any) -> object: ...
    def info(self, event: str, **fields: Any) -> object: ...
    def warning(self, event: str, **fields: Any) -> object: ...
    def error(self, event: str, **fields: Any) -> object: ...


def open_log(settings: LogSettings, stream: TextIO, *, secrets: Iterable[str] = (), colour: bool | None = None) -> Log:
    """A log that writes to `stream`.

    `secrets` are values that must never appear (`config.secrets.secret_values`). `colour` is None for: on a
    terminal. A level below `log.level` costs one call that does nothing. `exc_info=error` adds a traceback.
    """
    terminal = stream.isatty()
    redactor = Redactor(secrets)
    if settings.format == "json" or (settings.format == "auto" and not terminal):
        return _JsonLog(_Lines(stream), redactor, _LEVELS[settings.level], {})
    return _console(settings, stream, redactor, colour=terminal if colour is None else colour)


_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


_STANDARD = frozenset({"timestamp", "level", "event"})
_PLAIN = frozenset({str, int, float, bool, type(None)})


@final
class _JsonLog:
    """Every line is one JSON object, its standard fields first."""

    __slots__ = ("_bound", "_least", "_lines", "_redactor")

    def __init__(self, lines: _Lines, redactor: Redactor, least: int, bound: Mapping[str, Any]) -> None:
        self._lines = lines
        self._redactor = redactor
        self._least = least
        self._bound = bound

    def bind(self, **fields: Any) -> _JsonLog:
        """The same log, with these fields in every line."""
        return _JsonLog(self._lines, self._redactor, self._least, {**self._bound, **fields})

    def debug(self, event: str, **fields: Any) -> None:
        if self._least <= logging.DEBUG:
            self._put("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        if self._least <= logging.INFO:
            self._put("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        if self._least <= logging.WARNING:
            self._put("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._put("error", event, fields)

    def _put(self, level: str, event: str, fields: dict[str, Any]) -> None:
        fields = {**self._bound, **fields}
        error = fields.pop("exc_info", None)
        if isinstance(error, BaseException):
            fields["exception"] = "".join(traceback.format_exception(error)).rstrip("\n")
        redactor = self._redactor
        plain = self._plain(level, event, fields)
        if plain is not None:
            self._lines.put(plain)
            return
        rest = {redactor.text(name): redactor.value(value, name) for name, value in fields.items()}
        # After redaction, so that a secret which happens to read like a date cannot garble one.
        line = {"timestamp": _moment(), "level": level, "event": redactor.value(event, "event")}
        self._lines.put(_json({**line, **{name: value for name, value in rest.items() if name not in line}}))

    def _plain(self, level: str, event: str, fields: dict[str, Any]) -> str | None:
        """The line in one go, as most are: of plain values, and without anything that could be a secret. None for one
        whose values have to be looked at one by one, which takes six times as long."""
        import orjson

        if not _STANDARD.isdisjoint(fields) or not self._redactor.are_plain_names(fields):
            return None
        for value in fields.values():
            if type(value) not in _PLAIN and not _is_plain_list(value):
                return None
        try:
            line = orjson.dumps({"timestamp": _moment(), "level": level, "event": event, **fields}).decode()
        except TypeError:
            return None  # half a surrogate pair, a number beyond 64 bits
        return line if self._redactor.is_harmless(line) else None


def _is_plain_list(value: object) -> bool:
    return type(value) is list and set(map(type, value)) <= {str}


def _moment() -> str:
    return datetime.now(UTC).isoformat()[: -len("+00:00")] + "Z"


def _console(settings: LogSettings, stream: TextIO, redactor: Redactor, *, colour: bool) -> Log:
    import structlog

    def redact(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {redactor.text(name): redactor.value(value, name) for name, value in fields.items()}

    chain: list[Any] = [
        structlog.processors.format_exc_info,
        redact,
        # After redaction, see above.
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _tame,
        structlog.dev.ConsoleRenderer(colors=colour, sort_keys=False),
    ]
    logger = structlog.wrap_logger(
        _Lines(stream),
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        context_class=dict,
        cache_logger_on_first_use=True,
    )
    return cast("Log", logger.bind())


def with_fields(log: Log, **fields: Any) -> Log:
    """The same log, with these fields in every line."""
    return cast("Log", cast(Any, log).bind(**fields)) if hasattr(log, "bind") else log


@final
class _Lines:
    """Writes whole lines. A log that cannot be written (terminal gone, disk full) must not end an answer."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def put(self, text: str) -> None:
        try:
            # One write, so that lines of several threads do not mix.
            self._stream.write(text + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = put


def _tame(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What came from outside cannot steer the terminal. A traceback keeps its lines."""
    for name, value in fields.items():
        if isinstance(value, str) and name != "exception" and not value.isprintable():
            fields[name] = value.translate(_CONTROLS)
    if "exception" in fields:
        lines = str(fields["exception"]).split("\n")
        fields["exception"] = "\n".join(line.translate(_CONTROLS) for line in lines)
    return fields


def _json(fields: object, **_: Any) -> str:
    import orjson

    # A lone surrogate or a huge integer is no reason to lose the line.
    try:
        return orjson.dumps(fields, option=orjson.OPT_NON_STR_KEYS, default=str).decode()
    except TypeError:
        import json

        return json.dumps(fields, default=str)


@final
class SilentLog:
    """Writes nothing."""

    def debug(self, event: str, **fields: Any) -> None: ...
    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def error(self, event: str, **fields: Any) -> None: ...


@final
class RecordingLog:
    """Keeps `(level, event, fields)` of every call in `lines`, for tests."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def debug(self, event: str, **fields: Any) -> None:
        self.lines.append(("debug", event, fields))

    def info(self, event: str, **fields: Any) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        self.lines.append(("error", event, fields))

    def events(self, level: str | None = None) -> list[str]:
        """The event names in order, of one level or of all."""
        return [event for at, event, _ in self.lines if level in (None, at)]
