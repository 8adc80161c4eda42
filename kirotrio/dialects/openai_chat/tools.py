"""`tools`, the older `functions`, web search, and `tool_choice`.

A custom tool takes free-form text, the upstream knows only tools that take a JSON object: it is offered as a tool
with one string, `input`, and the encoders turn its calls back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from attrs import evolve, field

from kirotrio.classes import frozen
from kirotrio.conversation.request import Json, Tool, ToolChoice, WebSearch
from kirotrio.dialects.fields import member, string
from kirotrio.dialects.openai_chat.schema import (
    FUNCTION_FIELDS,
    SEARCH_FIELDS,
    ChatCompletionRequest,
    ChatCustom,
    ChatFunction,
    ChatWebSearchOptions,
    ChatWebSearchTool,
)
from kirotrio.dialects.reading import Reading, kind_of
from kirotrio.dialects.search_settings import domain_lists, filtered_domains, one_list, place_in_words, positive
from kirotrio.dialects.structure import JsonObject, structure
from kirotrio.errors import BodyInvalid

CUSTOM_INPUT: Final = "input"
"""The one property of a bridged tool."""

WEB_SEARCH: Final = "web_search"


@frozen
class ChatTools:
    """`custom`: names of the tools that take free-form text. `legacy`: calls leave as `function_call`."""

    tools: tuple[Tool, ...] = ()
    web_search: WebSearch | None = None
    custom: frozenset[str] = frozenset()
    legacy: bool = False
    choice: ToolChoice = field(factory=ToolChoice)


def read_tools(request: ChatCompletionRequest, sent: JsonObject, reading: Reading) -> ChatTools:
    """All that the request says about tools; `sent` is the body as it came. Raises BodyInvalid."""
    offer = _Offer(reading)
    for index, (tool, body) in enumerate(zip(request.tools or (), sent.get("tools") or (), strict=True)):
        path = f"tools.{index}"
        kind = tool.type or ("custom" if tool.custom is not None else "function")
        if kind == "function":
            if tool.function is not None:
                offer.function(tool.function, body["function"], f"{path}.function")
            elif type(body.get("name")) is str:  # as the Responses API writes them, which some clients use in either
                flat = {name: value for name, value in body.items() if name != "type"}
                offer.function(structure(flat, ChatFunction, path), flat, path)
            else:
                raise BodyInvalid(f"{path}.function", "field required: an object with the function's name")
        elif kind == "custom":
            if tool.custom is None:
                raise BodyInvalid(f"{path}.custom", "field required: an object with the tool's name")
            offer.custom_tool(tool.custom, f"{path}.custom")
        elif _is_search(kind):
            offer.search_tool(body, path)
        else:
            reading.note(path, f"tools of type {kind[:80]!r} are not known here: left out")
    for index, (function, body) in enumerate(zip(request.functions or (), sent.get("functions") or (), strict=True)):
        offer.function(function, body, f"functions.{index}")
    if request.web_search_options is not None:
        offer.search_options(request.web_search_options)
    offer.name_search()
    legacy = bool(request.functions) and not request.tools
    if legacy:
        reading.note("functions", "an answer in this older form holds one call: the first; use tools for several")
    read = ChatTools(tuple(offer.tools.values()), offer.web_search, frozenset(offer.custom), legacy)
    return _chosen(read, request, offer.search_is_tool)


class _Offer:
    """Takes the tools in order; each name once."""

    def __init__(self, reading: Reading) -> None:
        self.tools: dict[str, Tool] = {}
        self.custom: set[str] = set()
        self.web_search: WebSearch | None = None
        self.search_is_tool = False
        self._search_is_function = False
        self._reading = reading

    def function(self, function: ChatFunction, body: JsonObject, path: str) -> None:
        if not body.keys() <= FUNCTION_FIELDS:
            self._reading.note_unknown(path, body, FUNCTION_FIELDS, "a function")
        if function.name == WEB_SEARCH and _takes_nothing(function.parameters):
            self._known(WEB_SEARCH, path)
            self._search_is_function = True
            self._search(WebSearch(carried=False, path=path))
            return
        if function.strict:
            self._reading.note(f"{path}.strict", "arguments cannot be bound to the schema upstream: taken as a wish")
        self._add(Tool(function.name, function.description or "", function.parameters, path=path))

    def custom_tool(self, custom: ChatCustom, path: str) -> None:
        description = custom.description or ""
        grammar = _grammar(custom.format, f"{path}.format")
        if grammar:
            description = f"{description}\n\n{grammar}" if description else grammar
        text = {"type": "string", "description": "The whole input of this tool, as free-form text."}
        schema = {"type": "object", "properties": {CUSTOM_INPUT: text}, "required": [CUSTOM_INPUT]}
        self._add(Tool(custom.name, description, schema, path=path))
        self.custom.add(custom.name)

    def search_tool(self, body: JsonObject, path: str) -> None:
        """An entry of `tools` that asks for a search by the server."""
        tool = structure(body, ChatWebSearchTool, path)
        self._reading.note_unknown(path, body, SEARCH_FIELDS, "a web search tool")
        self._note_size(tool.search_context_size, path)
        if tool.external_web_access is False:
            self._reading.note(path, "the web search is left out: it may use no external access, and has no other")
            return
        allowed, blocked = domain_lists(tool.allowed_domains, tool.blocked_domains, path)
        filtered = filtered_domains(body, path)
        one_list(filtered, blocked, path)
        if filtered and allowed:
            raise BodyInvalid(f"{path}.filters.allowed_domains", f"must not be given beside {path}.allowed_domains")
        search = WebSearch(
            max_uses=positive(tool.max_uses, f"{path}.max_uses"),
            allowed_domains=allowed or filtered,
            blocked_domains=blocked,
            location=read_location(tool.user_location, f"{path}.user_location"),
            carried=False,
            path=path,
        )
        self._search(search)

    def _search(self, search: WebSearch) -> None:
        if self.web_search is not None:
            raise _not_unique(WEB_SEARCH, f"{search.path}.name", self.web_search.path)
        self.web_search, self.search_is_tool = search, True

    def search_options(self, options: ChatWebSearchOptions) -> None:
        path = "web_search_options"
        self._note_size(options.search_context_size, path)
        location = read_location(options.user_location, f"{path}.user_location")
        if self.web_search is not None:
            self.web_search = evolve(self.web_search, location=location or self.web_search.location)
        else:
            self.web_search = WebSearch(location=location, carried=False, path=path)

    def name_search(self) -> None:
        """Once all tools are known: only functions are named by the client, and one may bear the usual name."""
        if self.web_search is None:
            return
        name, count = WEB_SEARCH, 1
        while name in self.tools:
            count += 1
            name = f"{WEB_SEARCH}_{count}"
        self.web_search = evolve(self.web_search, name=name)

    def _note_size(self, size: Json, path: str) -> None:
        if size is not None:
            self._reading.note(f"{path}.search_context_size", "ignored: the upstream's search has one size")

    def _add(self, tool: Tool) -> None:
        self._known(tool.name, tool.path)
        self.tools[tool.name] = tool

    def _known(self, name: str, path: str) -> None:
        if not name:
            raise BodyInvalid(f"{path}.name", "field required: the tool's name")
        earlier: Tool | WebSearch | None = self.tools.get(name)
        if earlier is None and name == WEB_SEARCH and self._search_is_function:
            earlier = self.web_search
        if earlier is not None:
            raise _not_unique(name, f"{path}.name", earlier.path)


def _not_unique(name: str, path: str, earlier: str) -> BodyInvalid:
    return BodyInvalid(path, f"tool names must be unique: {name!r} is also the name of {earlier}")


def _is_search(kind: Json) -> bool:
    """Whether it is a type of web search tool, of either maker and any version."""
    return type(kind) is str and kind.startswith(WEB_SEARCH)


def _takes_nothing(parameters: JsonObject | None) -> bool:
    """Whether a function is declared without any parameter."""
    return parameters is None or (parameters.keys() <= _EMPTY_SCHEMA and not parameters.get("properties"))


def _grammar(form: JsonObject | None, path: str) -> str:
    """What the model is told about the form of a custom tool's input; "" where any text will do."""
    if form is None or form.get("type") in (None, "text"):
        return ""
    if form["type"] != "grammar":
        raise BodyInvalid(f"{path}.type", 'must be "text" or "grammar"')
    grammar, where = (form, path) if "definition" in form else (member(form, "grammar", path), f"{path}.grammar")
    what = {"lark": "this Lark grammar", "regex": "this regular expression"}.get(string(grammar, "syntax", where))
    if what is None:
        raise BodyInvalid(f"{where}.syntax", 'must be "lark" or "regex"')
    return f"The input has to match {what}:\n{string(grammar, 'definition', where)}"


def read_location(location: JsonObject | None, path: str) -> str:
    """`user_location` in words: "city, region, country (time zone …)"; "" where it says nothing. Raises BodyInvalid."""
    if location is None:
        return ""
    approximate: Json = location.get("approximate", location)
    if type(approximate) is not dict:
        raise BodyInvalid(f"{path}.approximate", f"must be an object, not {kind_of(approximate)}")
    named: dict[str, Any] = {key: approximate.get(key) for key in ("city", "region", "country", "timezone")}
    for key, value in named.items():
        if value is not None and type(value) is not str:
            raise BodyInvalid(f"{path}.{key}", f"must be a string, not {kind_of(value)}")
    return place_in_words(**named)


def _chosen(read: ChatTools, request: ChatCompletionRequest, search_is_tool: bool) -> ChatTools:
    """With the choice made; `allowed_tools` takes the others away."""
    wanted, path = request.tool_choice, "tool_choice"
    if wanted is None and request.function_call is not None:
        wanted, path = request.function_call, "function_call"
    parallel = request.parallel_tool_calls is not False and not read.legacy
    if type(wanted) is dict and wanted.get("type") == "allowed_tools":
        read, wanted = _restricted(read, wanted, search_is_tool)
        path = "tool_choice.allowed_tools.mode"
    elif type(wanted) is dict and wanted.get("type") in tuple(_MODES):
        wanted = wanted["type"]  # some clients write a mode as Anthropic does
    if wanted is None:
        return evolve(read, choice=ToolChoice(parallel=parallel))
    if type(wanted) is str:
        mode = _MODES.get(wanted)
        if mode is None:
            raise BodyInvalid(path, f"must be one of {', '.join(_MODES)}, or an object that names a tool")
        if mode == "any" and not read.tools and read.web_search is None:
            raise BodyInvalid(path, '"required" may only be given while providing tools')
        return evolve(read, choice=ToolChoice(mode, parallel=parallel))
    name = _named(wanted, read, path)
    _offered((name,), read, path)
    return evolve(read, choice=ToolChoice("tool", name, parallel))


def _restricted(read: ChatTools, wanted: JsonObject, search_is_tool: bool) -> tuple[ChatTools, Json]:
    path = "tool_choice.allowed_tools"
    allowed = member(wanted, "allowed_tools", "tool_choice")
    entries = allowed.get("tools")
    if type(entries) is not list:
        raise BodyInvalid(f"{path}.tools", "field required: a list that names the tools")
    names = [_named(entry, read, f"{path}.tools.{index}") for index, entry in enumerate(entries)]
    _offered(names, read, f"{path}.tools")
    search = read.web_search
    if search is not None and search_is_tool and search.name not in names:
        search = None
    mode = allowed.get("mode", "auto")
    if mode not in ("auto", "required"):
        raise BodyInvalid(f"{path}.mode", 'must be "auto" or "required"')
    return evolve(read, tools=tuple(tool for tool in read.tools if tool.name in names), web_search=search), mode


def _named(entry: Json, read: ChatTools, path: str) -> str:
    """The name of the tool that an object of a tool choice names."""
    if type(entry) is not dict:
        raise BodyInvalid(path, f"must be an object that names a tool, not {kind_of(entry)}")
    kind = entry.get("type", "function")
    if _is_search(kind):
        if read.web_search is None:
            raise BodyInvalid(f"{path}.type", "the web search is not among the tools of this request")
        return read.web_search.name
    if kind not in ("function", "custom"):
        raise BodyInvalid(f"{path}.type", 'must be "function", "custom" or "allowed_tools"')
    if "name" in entry:  # as the older `function_call` has it
        return string(entry, "name", path, filled=True)
    return string(member(entry, kind, path), "name", f"{path}.{kind}", filled=True)


def _offered(names: Sequence[str], read: ChatTools, path: str) -> None:
    offered = {tool.name for tool in read.tools}
    if read.web_search is not None:
        offered.add(read.web_search.name)
    for name in names:
        if name not in offered:
            raise BodyInvalid(path, f"tool {name[:80]!r} is not among the tools of this request")


_EMPTY_SCHEMA: Final = frozenset(
    {"$schema", "type", "properties", "required", "additionalProperties", "title", "description"}
)
_MODES: Final[dict[str, Any]] = {"none": "none", "auto": "auto", "required": "any"}
