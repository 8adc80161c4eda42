"""The request half of the waist: what any client asks, in terms of no client and of no upstream.

A dialect decodes its JSON into a `Conversation`; the upstream room turns a `Conversation` into its own body.
All values are immutable; JSON values inside (`input`, `input_schema`) are plain dicts that nobody changes.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from attrs import field

from kirotrio.classes import frozen

Json: TypeAlias = Any
"""A decoded JSON value."""


@frozen
class Text:
    text: str


@frozen
class Image:
    """`data` is base64 without a `data:` prefix; `media_type` is `image/png`, `image/jpeg`, …"""

    media_type: str
    data: str = field(repr=lambda data: f"<{len(data)} base64 characters>")


@frozen
class Document:
    """A file given to the model. `data` is plain text where `media_type` begins `text/`, else base64."""

    media_type: str
    data: str = field(repr=lambda data: f"<{len(data)} characters>")
    title: str | None = None
    context: str | None = None
    path: str = field(default="", eq=False)

    @property
    def is_text(self) -> bool:
        return self.media_type.startswith("text/")


@frozen
class RemoteFile:
    """An image or a document that the client names by its address; the relay puts what it finds there in its place.

    `path` is where it stood in the client's body, for errors.
    """

    url: str
    kind: Literal["image", "document"]
    title: str | None = None
    context: str | None = None
    path: str = ""


@frozen
class Thinking:
    """A thinking block of an earlier answer, with the signature as the client sent it back ("" if none)."""

    text: str
    signature: str = ""


@frozen
class RedactedThinking:
    data: str


@frozen
class ToolUse:
    """A call that an earlier answer made. `input` is always an object."""

    id: str
    name: str
    input: Mapping[str, Json]


@frozen
class ToolReference:
    """Names a tool that a tool search has loaded (`tool_reference` inside a tool result)."""

    tool_name: str


ResultPart: TypeAlias = Text | Image | Document | RemoteFile | ToolReference


@frozen
class ToolResult:
    tool_use_id: str
    content: tuple[ResultPart, ...] = ()
    is_error: bool = False


@frozen
class ServerToolUse:
    """A tool call that the server itself ran in an earlier answer (`web_search`, …)."""

    id: str
    name: str
    input: Mapping[str, Json]


@frozen
class ServerToolResult:
    """The result block of a server tool; `kind` is the block's type, `content` its JSON as sent."""

    tool_use_id: str
    kind: str
    content: Json


Part: TypeAlias = (
    Text
    | Image
    | Document
    | RemoteFile
    | Thinking
    | RedactedThinking
    | ToolUse
    | ToolResult
    | ServerToolUse
    | ServerToolResult
)

Role: TypeAlias = Literal["user", "assistant", "system"]


@frozen
class Turn:
    """One message. `path` is where it stood in the client's body (`messages.3`), for diagnostics.

    A turn of role "system" stands in the middle of the conversation and keeps its place.
    """

    role: Role
    parts: tuple[Part, ...]
    path: str = ""


@frozen
class Tool:
    """A tool offered to the model.

    `kind` is "" for a tool that the client runs; otherwise the type of a server tool that is not available here
    (`code_execution_…`), whose settings stand in `options`. `input_schema` is None where the client gave none.
    """

    name: str
    description: str = ""
    input_schema: Mapping[str, Json] | None = None
    kind: str = ""
    options: Mapping[str, Json] = field(factory=dict)
    deferred: bool = False
    path: str = ""
    worked_out: dict[str, Any] = field(factory=dict, init=False, eq=False, repr=False)
    """What somebody has worked out of the other fields alone: a conversation that goes on brings the same tools again,
    dozens of them, and their schemas are the larger part of the work on them."""


@frozen
class WebSearch:
    """The client asks that the server searches the web for the model.

    `name` is what it calls the tool. `max_uses`: searches for one request, None: as many as the setting allows. At
    most one of the domain lists is not empty; a domain covers its subdomains and may go on with a path
    (`example.com/blog`). `location` is where the user is, in words. `direct_query`: the request is nothing but a search
    for this, and is answered with what is found. `carried`: the client sends what was found back with its next turn;
    where it does not, only the answer at hand can make use of it.
    """

    name: str = "web_search"
    max_uses: int | None = None
    allowed_domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    location: str = ""
    direct_query: str | None = None
    carried: bool = True
    path: str = ""


@frozen
class WebFetch:
    """The client asks that the server fetches pages and documents for the model. Fields as of `WebSearch`.

    `max_tokens`: of one fetched text, longer ones are cut; None: as the setting says. `citations`: the client wants to
    see which passages an answer rests on.
    """

    name: str = "web_fetch"
    max_uses: int | None = None
    allowed_domains: tuple[str, ...] = ()
    blocked_domains: tuple[str, ...] = ()
    max_tokens: int | None = None
    citations: bool = False
    carried: bool = True
    path: str = ""


@frozen
class ToolChoice:
    """`mode`: auto (model decides), any (some tool must be called), tool (the one in `name`), none (withheld)."""

    mode: Literal["auto", "any", "tool", "none"] = "auto"
    name: str | None = None
    parallel: bool = True

    @property
    def forced(self) -> bool:
        return self.mode in ("any", "tool")


class Effort(enum.Enum):
    """How hard a native model shall think, weakest first (KIRO_PROTOCOL 2.5)."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


@frozen
class ThinkingSetting:
    """What the client asked about thinking, after the defaults.

    `enabled`: whether the model shall think. `budget`: tokens, always positive. `asked`: the client itself asked
    for thinking. `accepted`: the client is known to take thinking blocks (it asked, or its betas or its history
    show them). `display`: `summarized`, `omitted`, `updates` or None. `effort`: None leaves the model's default.
    """

    enabled: bool = True
    budget: int = 200_000
    asked: bool = False
    accepted: bool = False
    display: str | None = None
    effort: Effort | None = None


@frozen
class Limits:
    """`max_tokens` of output (None: none given); `stop_sequences` are non-empty strings."""

    max_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()


@frozen
class ClientSession:
    """The client's own idea of a session: stable over its requests. `source` says where `id` was found."""

    id: str
    source: str


@frozen
class OutputSchema:
    """A JSON schema that the answer's text has to meet; `schema` is None where any JSON object will do.

    `path` is where the client asked for it.
    """

    schema: Mapping[str, Json] | None
    name: str = ""
    strict: bool = False
    path: str = "output_schema"


@frozen
class Diagnostic:
    """Something of the client's request that could not be carried over as it stood, and where."""

    path: str
    message: str


@frozen
class Conversation:
    """One request. `model` is the name that the client used; `system` are the texts ahead of all turns."""

    model: str
    turns: tuple[Turn, ...]
    system: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    web_search: WebSearch | None = None
    web_fetch: WebFetch | None = None
    thinking: ThinkingSetting = ThinkingSetting()
    limits: Limits = Limits()
    session: ClientSession | None = None
    output_schema: OutputSchema | None = None
    diagnostics: tuple[Diagnostic, ...] = ()

    @property
    def has_prefill(self) -> bool:
        """Whether the client began the assistant's answer itself."""
        return bool(self.turns) and self.turns[-1].role == "assistant"
