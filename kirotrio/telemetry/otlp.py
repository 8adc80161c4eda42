"""Traces as OTLP/HTTP sends them: protobuf, in one POST. Blocking, for a worker thread; loaded with the first batch.

The messages are OpenTelemetry's own. Its exporter is not used: it reads its configuration from the environment.
"""

from __future__ import annotations

import secrets
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from kirotrio.telemetry.traces import Refused, Span, Trace, Value

_AGAIN: Final = frozenset({408, 429, 502, 503, 504})
"""Statuses after which the same batch may be taken later (OTLP/HTTP)."""


def send(
    traces: Sequence[Trace],
    *,
    endpoint: str,
    headers: Mapping[str, str],
    resource: Mapping[str, str],
    deadline: float,
    tls: Callable[[], ssl.SSLContext],
) -> None:
    """Send these. `endpoint`: the whole address, or that of a host, whose `/v1/traces` is meant. Raises Refused."""
    parts = urlsplit(endpoint)
    url = endpoint if parts.path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"
    body = encoded(traces, resource).SerializeToString()
    request = urllib.request.Request(  # noqa: S310 - the settings allow http and https alone
        url, body, {"content-type": "application/x-protobuf", "user-agent": "kirotrio", **headers}, method="POST"
    )
    ways: list[Any] = [urllib.request.ProxyHandler({}), _NoRedirects()]
    if parts.scheme == "https":
        ways.append(urllib.request.HTTPSHandler(context=tls()))
    try:
        with urllib.request.build_opener(*ways).open(request, timeout=deadline) as answer:
            answer.read(65536)
    except urllib.error.HTTPError as error:
        error.close()
        raise Refused(f"the collector answered with status {error.code}", again=error.code in _AGAIN) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise Refused(f"the collector does not answer ({type(reason).__name__})", again=True) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The headers may hold a secret, which goes nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


def encoded(traces: Sequence[Trace], resource: Mapping[str, str]) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    of_resource.resource.attributes.extend(_attributes(resource))
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name = "kirotrio"
    for trace in traces:
        root = _message(trace.root, trace.trace_id, trace.parent_id)
        root.kind = Message.SPAN_KIND_SERVER
        of_scope.spans.append(root)
        of_scope.spans.extend(_message(part, trace.trace_id, root.span_id.hex()) for part in trace.parts)
    return request


def _message(span: Span, trace_id: str, parent_id: str) -> Message:
    message = Message(
        trace_id=bytes.fromhex(trace_id),
        span_id=secrets.token_bytes(8),
        parent_span_id=bytes.fromhex(parent_id),
        name=span.name,
        kind=Message.SPAN_KIND_CLIENT if span.calls else Message.SPAN_KIND_INTERNAL,
        start_time_unix_nano=int(span.began_at * 1e9),
        end_time_unix_nano=int(max(span.ended_at, span.began_at) * 1e9),
    )
    message.attributes.extend(_attributes(span.attributes))
    if span.error:
        message.attributes.extend(_attributes({"error.type": span.error}))
        message.status.code = Status.STATUS_CODE_ERROR
    return message


def _attributes(values: Mapping[str, Value]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in values.items() if value not in (None, "")]


def _value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value.encode("utf-8", "replace").decode())
    return AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=one) for one in value or ()]))
