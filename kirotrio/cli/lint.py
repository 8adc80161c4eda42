"""`kirotrio lint`: what Kiro would reject in a request body, by path."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kirotrio.classes import frozen
from kirotrio.cli.bodies import APIS, Api, recognised
from kirotrio.cli.options import with_settings
from kirotrio.config import LoadedSettings, Settings
from kirotrio.errors import KirotrioError

if TYPE_CHECKING:
    from kirotrio.conversation.request import Tool
    from kirotrio.kiro.models import ModelProfile


@frozen
class Lint:
    """What was found in one body. `notes` are changed or left out on the way to Kiro; `rejected` ends in an error.

    `kind` says what the body was taken for.
    """

    kind: str
    rejected: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@click.command(short_help="Say what Kiro would reject in a request body.")
@click.option(
    "--api",
    type=click.Choice(list(APIS)),
    help="Which API the body is for. Default: what it looks like.",
)
@with_settings()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
def lint(loaded: LoadedSettings, api: str | None, file: str) -> int:
    """Say what Kiro would reject in the request body in FILE, by path. A minus sign reads standard input.

    FILE holds the JSON of a POST to /v1/messages, /v1/chat/completions or /v1/responses, which is translated first;
    what the translation changes or leaves out is told as well. A body that is in Kiro's own form already (with
    conversationState) is checked as it is. The exit code is 1 if something would be rejected.
    """
    raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    found = lint_body(raw, loaded.settings, APIS[api] if api else None)
    place = "standard input" if file == "-" else file
    for note in found.notes:
        click.echo(f"note      {note}")
    for problem in found.rejected:
        click.echo(f"rejected  {problem}")
    verdict = f"{len(found.rejected)} would be rejected" if found.rejected else "nothing would be rejected"
    click.echo(f"{place}: {found.kind}; {verdict}")
    return 1 if found.rejected else 0


def lint_body(raw: bytes, settings: Settings, api: Api | None = None) -> Lint:
    """Check one body, without any I/O. `api`: what it is for, None where its shape has to say."""
    import orjson

    try:
        body = orjson.loads(raw)
    except ValueError as error:
        return Lint("not JSON", (f"the body is not JSON: {error}",))
    if api is None and isinstance(body, dict) and "conversationState" in body:
        return Lint("a body in Kiro's form", tuple(_violations(body)))
    return _lint_api(raw, api or recognised(body), settings)


def _lint_api(raw: bytes, api: Api, settings: Settings) -> Lint:
    """A body of one API: decoded, translated and checked as `serve` would, but for the account."""
    from kirotrio.kiro.endpoints import shape_body
    from kirotrio.kiro.models import STATIC_CATALOGUE
    from kirotrio.kiro.request import RequestOptions, build_request, session_ids

    kind = f"a body of the {api.title} API"
    try:
        conversation, unseen = api.decode(raw, settings.thinking.default)
        if conversation.output_schema is not None:
            # Loaded here alone: a tenth of a second that few bodies need.
            from kirotrio.conversation.output_schema import check_schema

            check_schema(conversation.output_schema)
    except KirotrioError as error:
        return Lint(kind, (error.message,))
    notes = (*unseen, *_told(conversation.diagnostics))
    try:
        model = STATIC_CATALOGUE.resolve(
            conversation.model, aliases=settings.models.alias, default=settings.models.default
        )
    except KirotrioError as error:
        return Lint(kind, (f"model: {error.message}",), notes)
    conversation_id, continuation_id = session_ids(conversation, "")
    request = build_request(
        conversation,
        model,
        RequestOptions(
            origin=settings.upstream.origin,
            description_max_length=settings.tools.description_max_length,
            conversation_id=conversation_id,
            continuation_id=continuation_id,
        ),
    )
    body = shape_body(settings.upstream.flavour, request.body)
    notes = (*unseen, *_told(request.diagnostics), *_renamed(conversation.tools, request.tool_names))
    if model.id not in {known.id for known in STATIC_CATALOGUE.models}:
        notes += (f"model: {model.id!r} is not among the models known here; it is sent as it is, and Kiro decides",)
    images = sum(_images(turn.parts) for turn in conversation.turns)
    if images > _CERTAIN_IMAGES:
        notes += (f"messages: {images} images; Kiro has a limit that is not exactly known, and may refuse so many",)
    return Lint(kind, tuple(_violations(body, model)), notes)


_CERTAIN_IMAGES = 10
"""What Kiro's own client sends at most (KIRO_PROTOCOL 2.3)."""


def _images(parts: Iterable[object]) -> int:
    """How many images, those inside of tool results included."""
    from kirotrio.conversation.request import Image, ToolResult

    return sum(_images(part.content) if isinstance(part, ToolResult) else isinstance(part, Image) for part in parts)


def _renamed(tools: Iterable[Tool], tool_names: Mapping[str, str]) -> Iterable[str]:
    """A note for every tool that travels under another name; `tool_names`: name sent → client's."""
    sent_as = {client: sent for sent, client in tool_names.items()}
    for number, tool in enumerate(tools):
        sent = sent_as.get(tool.name, tool.name)
        if sent != tool.name:
            path = tool.path or f"tools.{number}"
            yield f"{path}.name: {tool.name!r} is no name that Kiro takes; sent as {sent!r}, and given back as it was"


def _violations(body: dict[str, Any], model: ModelProfile | None = None) -> Iterable[str]:
    from kirotrio.kiro.lint import violations

    for violation in violations(body, model):
        reason = f" {violation.reason}" if violation.reason else ""
        yield f"{violation.path}: {violation.rule} (Kiro answers {violation.status}{reason})"


def _told(diagnostics: Iterable[Any]) -> tuple[str, ...]:
    return tuple(f"{note.path}: {note.message}" if note.path else note.message for note in diagnostics)
