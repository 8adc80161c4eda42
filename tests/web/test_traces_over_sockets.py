"""Traces of a running gateway, as a collector gets them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import define, field
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from support.stack import KEY, question, running

from kirotrio.config.settings import Settings, TelemetrySettings
from kirotrio.errors import SettingsError
from kirotrio.telemetry.log import RecordingLog
from kirotrio.web.tracing import open_traces

CANARY = "canary-92aa"
PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@define
class Collector:
    """A receiver of OTLP over HTTP. `statuses`: what it answers first."""

    url: str = ""
    bodies: list[bytes] = field(factory=list)
    heads: list[dict[str, str]] = field(factory=list)
    paths: list[str] = field(factory=list)
    statuses: list[int] = field(factory=list)

    @property
    def spans(self) -> list[Span]:
        found = []
        for body in self.bodies:
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                found += [span for of_scope in of_resource.scope_spans for span in of_scope.spans]
        return found

    async def until(self, count: int) -> list[Span]:
        with trio.fail_after(15):
            while len(self.spans) < count:  # noqa: ASYNC110 - it answers in threads of its own
                await trio.sleep(0.02)
        return self.spans


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    told = Collector()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.heads.append({name.lower(): value for name, value in self.headers.items()})
            told.paths.append(self.path)
            status = told.statuses.pop(0) if told.statuses else 200
            if status == 200:
                told.bodies.append(body)
            self.send_response(status)
            self.send_header("content-length", "0")
            if status == 302:
                self.send_header("location", told.url + "/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    told.url = f"http://127.0.0.1:{server.server_port}"
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-from=environment")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "from=environment")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


def sending(collector: Collector, **more: Any) -> dict[str, Any]:
    return {"telemetry": {"otlp_endpoint": collector.url, "otlp_every": 0.05, "otlp_deadline": 5.0, **more}}


def attributes(span: Span) -> dict[str, Any]:
    values = {one.key: one.value for one in span.attributes}
    return {name: getattr(value, value.WhichOneof("value")) for name, value in values.items()}


async def test_a_request_is_a_span_with_its_parts_below_that_of_its_client(
    tmp_path: Path, collector: Collector
) -> None:
    secret = {"otlp_headers": f"x-token={CANARY}", "service_name": "gateway"}
    async with running(tmp_path, **sending(collector, **secret)) as stack, stack.client() as http:
        body = question(f"{CANARY} [[events=3 gap_ms=20]]", stream=True)
        headers = {"traceparent": f"00-{PARENT[0]}-{PARENT[1]}-01", "user-agent": CANARY}
        answer = await http.post("/v1/messages", json=body, headers=headers)
        spans = await collector.until(5)
        assert CANARY not in repr(stack.log.lines)
    root, *parts = spans
    assert [part.name for part in parts] == ["queue", "prepare", "attempt", "stream"]
    assert (root.trace_id.hex(), root.parent_span_id.hex()) == PARENT
    assert root.kind == Span.SPAN_KIND_SERVER
    assert all(part.parent_span_id == root.span_id and part.trace_id == root.trace_id for part in parts)
    for part in parts:
        assert root.start_time_unix_nano <= part.start_time_unix_nano <= part.end_time_unix_nano
        assert part.end_time_unix_nano <= root.end_time_unix_nano + 2_000_000, "seconds of an attempt are rounded"
    told = attributes(root)
    assert told["gen_ai.request.model"] == body["model"]
    assert told["gen_ai.response.id"] == answer.headers["request-id"]
    assert told["gen_ai.usage.output_tokens"] > 0
    assert [value.string_value for value in told["gen_ai.response.finish_reasons"].values] == ["end_turn"]
    assert (told["http.response.status_code"], told["kirotrio.surface"], told["kirotrio.key"]) == (
        200,
        "messages",
        "test",
    )
    attempt = attributes(parts[2])
    assert (attempt["http.response.status_code"], attempt["kirotrio.attempt"]) == (200, 1)
    sent = b"".join(collector.bodies)
    assert CANARY.encode() not in sent, "nothing of the body, the client's name or a secret"
    assert KEY.encode() not in sent
    assert set(collector.paths) == {"/v1/traces"}
    assert collector.heads[0]["x-token"] == CANARY
    assert "x-from" not in collector.heads[0]
    resource = ExportTraceServiceRequest.FromString(collector.bodies[0]).resource_spans[0].resource
    assert {one.key: one.value.string_value for one in resource.attributes}["service.name"] == "gateway"
    assert "from" not in {one.key for one in resource.attributes}


async def test_a_failure_is_told_by_its_cause(tmp_path: Path, collector: Collector) -> None:
    async with running(tmp_path, **sending(collector)) as stack, stack.client() as http:
        await http.post("/v1/messages", json=question("[[fail_first=1 status=503]]"))
        await http.post("/v1/messages", json=question("[[cut_after=1]]", stream=True))
        await http.post("/v1/messages", json=question("[[status=400]]"))
        spans = await collector.until(16)
    roots = [span for span in spans if not span.parent_span_id]
    unset, error = Status.STATUS_CODE_UNSET, Status.STATUS_CODE_ERROR
    assert [root.status.code for root in roots] == [unset, error, unset], "a request that was refused has not failed"
    told = [attributes(root) for root in roots]
    assert [one.get("error.type") for one in told] == [None, "upstream_failed", None]
    assert [one["kirotrio.outcome"] for one in told] == ["end_turn", "upstream_failed", "body_invalid"]
    assert ["gen_ai.response.finish_reasons" in one for one in told] == [True, False, False]
    attempts = [attributes(span).get("error.type") for span in spans if span.name == "attempt"]
    assert attempts[:2] == ["upstream_overloaded", None]


async def test_a_client_that_does_not_sample_is_not_traced(tmp_path: Path, collector: Collector) -> None:
    async with running(tmp_path, **sending(collector)) as stack, stack.client() as http:
        not_sampled = f"00-{PARENT[0]}-{PARENT[1]}-00"
        await http.post("/v1/messages", json=question(), headers={"traceparent": not_sampled})
        await http.post("/v1/messages", json=question(), headers={"traceparent": "00-nonsense"})
        spans = await collector.until(5)
    assert sum(not span.parent_span_id for span in spans) == 1
    assert spans[0].trace_id.hex() != PARENT[0]


async def test_a_collector_that_is_away_gets_them_later_and_one_that_refuses_does_not(
    tmp_path: Path, collector: Collector
) -> None:
    collector.statuses = [503, 200, 400, 302]
    async with running(tmp_path, **sending(collector)) as stack, stack.client() as http:
        await http.post("/v1/messages", json=question())
        assert len(await collector.until(5)) == 5
        for refused in (1, 2):
            await http.post("/v1/messages", json=question())
            traces = stack.gateway.relay.traces
            assert traces is not None
            with trio.fail_after(15):
                while traces.dropped < refused:  # noqa: ASYNC110 - it is sent by a thread
                    await trio.sleep(0.02)
    assert len(collector.spans) == 5
    assert "/elsewhere" not in collector.paths


async def test_what_waits_is_sent_at_a_stop(tmp_path: Path, collector: Collector) -> None:
    async with running(tmp_path, **sending(collector, otlp_every=600.0)) as stack, stack.client() as http:
        await http.post("/v1/messages", json=question())
        stack.stop.ask()
        assert len(await collector.until(5)) == 5


@pytest.mark.parametrize("text", ["name", "=value", "na me=value", "name=va\nlue", "a=b,c"])
def test_a_header_that_is_none_is_refused_without_being_shown(text: str) -> None:
    settings = Settings(telemetry=TelemetrySettings(otlp_endpoint="http://127.0.0.1:4318", otlp_headers=text))
    with pytest.raises(SettingsError, match=r"telemetry\.otlp_headers: the part number \d") as raised:
        open_traces(settings, RecordingLog(), 1)
    assert "lue" not in raised.value.message.replace("name=value", "")
