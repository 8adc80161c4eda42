"""Where traces go, as the settings say it."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from kirotrio import __version__
from kirotrio.config.settings import Settings
from kirotrio.errors import SettingsError
from kirotrio.telemetry.log import Log

if TYPE_CHECKING:
    from kirotrio.telemetry.traces import Trace, Traces


def open_traces(settings: Settings, log: Log, worker: int) -> Traces | None:
    """None where no endpoint is set. Raises SettingsError."""
    telemetry = settings.telemetry
    if not telemetry.otlp_endpoint:
        return None
    from kirotrio.telemetry.traces import Traces

    headers = _headers(telemetry.otlp_headers)
    resource = {
        "service.name": telemetry.service_name,
        "service.version": __version__,
        "service.instance.id": str(worker),
    }

    def tls() -> ssl.SSLContext:
        from kirotrio.kiro.client import tls_context

        return tls_context(settings.upstream.certificates)

    def send(traces: Sequence[Trace]) -> None:
        from kirotrio.telemetry import otlp  # with the first batch, in its thread

        sending = partial(otlp.send, endpoint=telemetry.otlp_endpoint, deadline=telemetry.otlp_deadline, tls=tls)
        sending(traces, headers=headers, resource=resource)

    return Traces(telemetry, send, log)


def _headers(text: str) -> dict[str, str]:
    """Raises SettingsError, which shows no value."""
    headers = {}
    for number, part in enumerate((part for part in text.split(",") if part.strip()), start=1):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        plain = name.isascii() and value.isascii() and name.replace("-", "").replace("_", "").isalnum()
        if not equals or not plain or not value.isprintable():
            raise SettingsError(f"telemetry.otlp_headers: the part number {number} is not of the form name=value")
        headers[name] = value
    return headers
