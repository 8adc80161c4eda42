"""`tools`, the tools that items add, and `tool_choice`.

A name means one tool of the conversation: tools of a namespace are called `namespace__name` upstream, and by their own
name and namespace in the item that leaves. What cannot be offered is left out with a note, and asking for it by
`tool_choice` is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

import attrs
from attrs import field

from kirotrio.classes import define
from kirotrio.conversation.request import Json, Tool, ToolChoice, WebSearch
from kirotrio.dialects.fields import optional_list, optional_object, optional_string, string
from kirotrio.dialects.openai_responses.bridges import CUSTOM_SCHEMA, TYPED_TOOLS, Bridge, BridgeKind
from kirotrio.dialects.reading import Reading, kind_of
from kirotrio.dialects.search_settings import filtered_domains, place_in_words
from kirotrio.dialects.structure import JsonObject
from kirotrio.errors import BodyInvalid

WEB_SEARCH: Final = frozenset(
    {"web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"}
)
_HOSTED: Final = {
    "file_search": "there is no store of files here",
    "code_interpreter": "the upstream runs no code",
    "programmatic_tool_calling": "the upstream runs no code",
    "image_generation": "the upstream makes no images",
    "mcp": "the upstream calls no MCP servers of a client",
    "computer": "the upstream has no computer tool",
    "computer_use": "the upstream has no computer tool",
    "computer_use_preview": "the upstream has no computer tool",
}
_COMMON: Final = frozenset(
    {"type", "name", "description", "defer_loading", "allowed_callers", "output_schema", "async", "strict"}
)
_FUNCTION: Final = _COMMON | {"parameters", "function"}
_CUSTOM: Final = _COMMON | {"format"}
_MODES: Final = ("none", "auto", "required")
_SEARCH_FIELDS: Final = frozenset(
    {"type", "filters", "user_location", "search_context_size", "search_content_types", "external_web_access"}
)


@define
class Toolbox:
    """All tools of a request. `bridges` is by the conversation's names, `echo` is how the API repeats them."""

    reading: Reading
    tools: dict[str, Tool] = field(factory=dict)
    bridges: dict[str, Bridge] = field(factory=dict)
    web_search: WebSearch | None = None
    echo: list[JsonObject] = field(factory=list)
    _names: dict[tuple[str, str, str], str] = field(factory=dict)
    _given: set[str] = field(factory=set)

    def add_all(self, tools: Sequence[Json], path: str, *, again: bool = False) -> list[str]:
        """Offers these tools; their names. `again`: they may define anew what is offered. Raises BodyInvalid."""
        added: list[str] = []
        for index, tool in enumerate(tools):
            here = f"{path}.{index}"
            if type(tool) is not dict:
                raise BodyInvalid(here, f"must be a tool (an object with a type), not {kind_of(tool)}")
            echoed = self._add(tool, here, again, added)
            if echoed is not None and not again:
                self.echo.append(echoed)
        return added

    def name_of(self, name: str, namespace: str | None = None, kind: BridgeKind = "function") -> str:
        """The conversation's name for a tool that the client calls so; given out now if nobody has named it yet."""
        typed = "" if kind in ("function", "custom") else kind
        known = self._names.get((typed, namespace or "", name))
        if known is not None:
            return known
        if not typed and namespace is None:
            if (name, "", name) in self._names:  # a typed tool, called with what its own item has no place for
                return self._names[name, "", name]
            inside = {own for (of, space, bare), own in self._names.items() if space and not of and bare == name}
            if len(inside) == 1:  # of a client that has left the namespace out on the way
                return inside.pop()
        return self._name(typed, namespace or "", name)

    def find(self, name: str, namespace: str | None = None) -> str | None:
        """The conversation's name of a tool that is offered, None if there is none of this name."""
        own = self.name_of(name, namespace)
        return own if own in self.tools else None

    def _name(self, typed: str, namespace: str, name: str) -> str:
        joint = "" if not namespace or namespace.endswith("__") else "__"
        wanted = f"{namespace}{joint}{name}"
        own, count = wanted, 1
        while own in self._given:
            count += 1
            own = f"{wanted}_{count}"
        self._given.add(own)
        self._names[typed, namespace, name] = own
        return own

    def _add(self, tool: JsonObject, path: str, again: bool, added: list[str]) -> JsonObject | None:
        """Offers one tool; what the API repeats of it."""
        kind = string(tool, "type", path, filled=True)
        if kind in ("function", "custom"):
            return self._add_named(tool, path, again, added)
        if kind == "namespace":
            return self._add_namespace(tool, path, again, added)
        if kind in WEB_SEARCH:
            return self._add_search(tool, kind, path)
        if kind in TYPED_TOOLS:
            return self._add_typed(tool, cast(BridgeKind, kind), path, added)
        why = _HOSTED.get(kind, "its type is not known here")
        self.reading.note(path, f"a tool of type {kind[:80]!r} is left out: {why}")
        return None

    def _add_named(
        self, tool: JsonObject, path: str, again: bool, added: list[str], namespace: str = "", about: str = ""
    ) -> JsonObject:
        kind = tool["type"]
        if kind == "function" and type(tool.get("function")) is dict and "name" not in tool:
            tool, path = {**tool["function"], "type": kind}, f"{path}.function"  # as Chat Completions wraps it
        known = _FUNCTION if kind == "function" else _CUSTOM
        if not tool.keys() <= known:
            self.reading.note_unknown(path, tool, known, "a tool")
        name = string(tool, "name", path, filled=True)
        description = optional_string(tool, "description", path) or ""
        echo: JsonObject = {"type": kind, "name": name, "description": tool.get("description")}
        said = description
        if kind == "function":
            parameters = None if tool.get("parameters") is None else optional_object(tool, "parameters", path)
            strict = bool(tool.get("strict"))
            if strict:
                self.reading.note(f"{path}.strict", "arguments cannot be bound to the schema upstream: taken as a wish")
            echo |= {"parameters": parameters, "strict": strict}
        else:
            form, grammar = _read_format(tool, path)
            said, parameters = f"{description}\n\n{grammar}".strip(), CUSTOM_SCHEMA
            echo = {key: value for key, value in {**echo, "format": form}.items() if value is not None}
        own = self._names.get(("", namespace, name)) or self._name("", namespace, name)
        if own in self.tools and not again:
            raise BodyInvalid(
                f"{path}.name", f"Tool names must be unique: {name!r} is also the name of {self.tools[own].path}"
            )
        if tool.get("defer_loading"):
            self.reading.note(f"{path}.defer_loading", "ignored: the tool is offered from the beginning")
        said = f"{said}\n\n({about})".strip() if about else said
        self._offer(Tool(own, said, parameters, path=path), Bridge(kind, name, namespace or None), added)
        return echo

    def _add_namespace(self, tool: JsonObject, path: str, again: bool, added: list[str]) -> JsonObject:
        namespace = string(tool, "name", path, filled=True)
        description = optional_string(tool, "description", path) or ""
        about = f"{namespace}: {description}" if description else ""
        inside: list[JsonObject] = []
        for index, inner in enumerate(optional_list(tool, "tools", path)):
            here = f"{path}.tools.{index}"
            if type(inner) is not dict:
                raise BodyInvalid(here, f"must be a tool (an object with a type), not {kind_of(inner)}")
            if string(inner, "type", here) not in ("function", "custom"):
                raise BodyInvalid(f"{here}.type", 'must be "function" or "custom" inside a namespace')
            inside.append(self._add_named(inner, here, again, added, namespace, about))
        return {"type": "namespace", "name": namespace, "description": description, "tools": inside}

    def _add_typed(self, tool: JsonObject, kind: BridgeKind, path: str, added: list[str]) -> JsonObject | None:
        typed = TYPED_TOOLS[kind]
        description, schema = typed.description, typed.schema
        echo: JsonObject = {"type": kind}
        if kind == "shell":
            environment = optional_object(tool, "environment", path).get("type", "local")
            if environment != "local":
                self.reading.note(path, "a shell in a container is left out: the upstream has no containers")
                return None
        elif kind == "tool_search":
            if tool.get("execution") != "client":
                self.reading.note(path, "the search for tools is left out: all tools are offered from the beginning")
                return None
            description = optional_string(tool, "description", path) or description
            schema = optional_object(tool, "parameters", path) or schema
            echo |= {"execution": "client", "description": description, "parameters": schema}
        self._offer(Tool(self.name_of(kind, kind=kind), description, schema, path=path), Bridge(kind, kind), added)
        return echo

    def _add_search(self, tool: JsonObject, kind: str, path: str) -> JsonObject | None:
        if tool.get("external_web_access") is False:
            self.reading.note(path, "the web search is left out: it may use no external access, and has no other")
            return None
        if not tool.keys() <= _SEARCH_FIELDS:
            self.reading.note_unknown(path, tool, _SEARCH_FIELDS, "a web search tool")
        size = tool.get("search_context_size")
        if size is not None:
            self.reading.note(f"{path}.search_context_size", "ignored: the upstream's search has one size")
        domains = filtered_domains(tool, path)
        place = optional_object(tool, "user_location", path)
        where = {
            key: text
            for key in ("city", "region", "country", "timezone")
            if (text := _said(place, key, path)) is not None
        }
        location = place_in_words(*map(where.get, ("city", "region", "country", "timezone")))
        if self.web_search is None:
            # A `web_search_call` that comes back has addresses, and nothing of what was found there.
            self.web_search = WebSearch(allowed_domains=domains, location=location, carried=False, path=path)
        else:
            self.reading.note(path, "a second web search tool is left out")
        echo: JsonObject = {"type": kind}
        if domains and not kind.startswith("web_search_preview"):
            echo["filters"] = {"allowed_domains": list(domains)}
        if place:
            echo["user_location"] = {"type": "approximate", **where}
        if size in ("low", "medium", "high"):
            echo["search_context_size"] = size
        return echo

    def _offer(self, tool: Tool, bridge: Bridge, added: list[str]) -> None:
        self.tools[tool.name] = tool
        self.bridges[tool.name] = bridge
        added.append(tool.name)

    def name_search(self, max_uses: int | None) -> None:
        """Once all names are known: gives the web search one that no tool of the client has, and its bound."""
        if self.web_search is None:
            return
        name, count = "web_search", 1
        while name in self._given:
            count += 1
            name = f"web_search_{count}"
        self.web_search = attrs.evolve(self.web_search, name=name, max_uses=max_uses)

    # The choice among them

    def choose(self, choice: Json, *, parallel: bool) -> tuple[ToolChoice, Json]:
        """The tool choice, and how the API repeats it; `allowed_tools` takes the others away. Raises BodyInvalid."""
        if choice is None:
            choice = "auto"
        if type(choice) is str:
            return self._mode(choice, "tool_choice", parallel), choice
        if type(choice) is not dict:
            raise BodyInvalid("tool_choice", f"must be one of {', '.join(_MODES)}, or an object that names a tool")
        kind = string(choice, "type", "tool_choice", filled=True)
        if kind == "allowed_tools":
            return self._allow(choice, parallel)
        own = self._named(choice, "tool_choice")
        echo: Json = {"type": kind, "name": choice.get("name")}
        if kind in WEB_SEARCH:
            echo = {"type": "web_search_preview"}
        elif kind not in ("function", "custom"):
            echo = {"type": kind} if kind in ("shell", "apply_patch") else "required"
        return ToolChoice("tool", own, parallel), echo

    def _mode(self, mode: str, path: str, parallel: bool) -> ToolChoice:
        if mode not in _MODES:
            raise BodyInvalid(path, f"must be one of {', '.join(_MODES)}, or an object that names a tool")
        if mode == "required":
            if not self.tools and self.web_search is None:
                raise BodyInvalid(path, '"required" can only be asked for with tools that can be offered here')
            return ToolChoice("any", None, parallel)
        return ToolChoice("none" if mode == "none" else "auto", None, parallel)

    def _allow(self, choice: JsonObject, parallel: bool) -> tuple[ToolChoice, Json]:
        allowed: set[str] = set()
        echo: list[JsonObject] = []
        if choice.get("tools") is None:
            raise BodyInvalid("tool_choice.tools", "field required: the list of tools that may be called")
        for index, named in enumerate(optional_list(choice, "tools", "tool_choice")):
            here = f"tool_choice.tools.{index}"
            if type(named) is not dict:
                raise BodyInvalid(here, f"must be an object that names a tool, not {kind_of(named)}")
            if string(named, "type", here) in _HOSTED:
                continue  # left out of the tools as well
            allowed.add(self._named(named, here))
            echo.append(named)
        self.tools = {name: tool for name, tool in self.tools.items() if name in allowed}
        if self.web_search is not None and self.web_search.name not in allowed:
            self.web_search = None
        mode = choice.get("mode", "auto")
        if mode not in ("auto", "required"):
            raise BodyInvalid("tool_choice.mode", 'must be "auto" or "required"')
        return self._mode(mode, "tool_choice.mode", parallel), {"type": "allowed_tools", "mode": mode, "tools": echo}

    def _named(self, named: JsonObject, path: str) -> str:
        kind = named["type"]
        if kind in WEB_SEARCH:
            if self.web_search is None:
                raise BodyInvalid(f"{path}.type", "the web search is not among the tools of this request")
            return self.web_search.name
        if kind in TYPED_TOOLS:
            own: str | None = self.name_of(kind, kind=kind)
            own = own if own in self.tools else None
        elif kind in ("function", "custom"):
            name = string(named, "name", path, filled=True)
            own = self.find(name, optional_string(named, "namespace", path))
            if own is None:
                raise BodyInvalid(f"{path}.name", f"Tool {name!r} not found in provided tools")
        else:
            own = None
        if own is None:
            raise BodyInvalid(
                f"{path}.type", f"a tool of type {kind[:80]!r} is not among those that can be offered here"
            )
        return own


def _read_format(tool: JsonObject, path: str) -> tuple[JsonObject, str]:
    """A free-form tool's format as the API repeats it, and in words for the model."""
    form, where = optional_object(tool, "format", path), f"{path}.format"
    kind = form.get("type", "text")
    if kind == "text":
        return {"type": "text"}, ""
    if kind != "grammar":
        raise BodyInvalid(f"{where}.type", 'must be "text" or "grammar"')
    form = form["grammar"] if type(form.get("grammar")) is dict else form  # as Chat Completions nests it
    definition, syntax = string(form, "definition", where), string(form, "syntax", where)
    if syntax not in ("lark", "regex"):
        raise BodyInvalid(f"{where}.syntax", 'must be "lark" or "regex"')
    what = "this Lark grammar" if syntax == "lark" else "this regular expression"
    words = f"The input has to match {what}:\n{definition}"
    return {"type": "grammar", "definition": definition, "syntax": syntax}, words


def _said(place: JsonObject, key: str, path: str) -> str | None:
    return optional_string(place, key, f"{path}.user_location") or None
