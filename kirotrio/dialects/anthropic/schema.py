"""The Anthropic request as attrs classes, and the two ways in which JSON becomes one.

The fast way stops at the first thing that is wrong and says nothing about it; only then the detailed way walks
the same JSON again and finds the path. What is typed `Json` here is read by hand in `content` and `decode`: it is
either hot (content blocks) or open-ended (settings that every client spells differently).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import attrs
from attrs import frozen
from cattrs import BaseValidationError, Converter
from cattrs.cols import list_structure_factory
from cattrs.errors import AttributeValidationNote, IterableValidationNote
from cattrs.gen import make_dict_structure_fn
from cattrs.preconf.orjson import make_converter

from kirotrio.conversation.request import Json
from kirotrio.errors import BodyInvalid

JsonObject: TypeAlias = dict[str, Any]
T = TypeVar("T")


@frozen
class AnthropicTool:
    """One entry of `tools`. Only tools that the client runs need a schema; a tool set has no name of its own."""

    name: str = ""
    description: str | None = None
    input_schema: JsonObject | None = None
    type: str | None = None
    defer_loading: bool | None = None


@frozen
class AnthropicToolChoice:
    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


@frozen
class AnthropicMessage:
    """One entry of `messages`; `content` is a string or a list of blocks, read by `content.read_parts`."""

    role: str
    content: Json = None
    output_config: JsonObject | None = None
    clear_at: str | None = None


@frozen
class AnthropicOutputFormat:
    type: str
    schema: JsonObject | None = None


@frozen
class AnthropicOutputConfig:
    effort: Json = None
    format: AnthropicOutputFormat | None = None
    task_budget: Json = None


@frozen
class AnthropicMessagesRequest:
    """The body of `POST /v1/messages` as far as it can be carried to the upstream."""

    model: str
    messages: list[AnthropicMessage]
    max_tokens: int | None = None
    system: Json = None
    tools: list[AnthropicTool] | None = None
    tool_choice: AnthropicToolChoice | None = None
    thinking: Json = None
    stream: bool | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    metadata: Json = None
    output_config: AnthropicOutputConfig | None = None
    output_format: AnthropicOutputFormat | None = None


REQUEST_FIELDS = frozenset(field.name for field in attrs.fields(AnthropicMessagesRequest))
TOOL_FIELDS = frozenset(field.name for field in attrs.fields(AnthropicTool))
MESSAGE_FIELDS = frozenset(field.name for field in attrs.fields(AnthropicMessage))

_RIGHT = {
    "model": "a model's name",
    "messages": "a list of messages",
    "role": '"user", "assistant" or "system"',
    "type": "a string that names the type",
}
"""What would stand where a required field is missing."""


def kind_of(value: Json) -> str:
    """The JSON name of a value's type, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"


class _Wrong(ValueError):
    """A leaf that is not what it should be; the message says what would be right."""

    def __init__(self, wanted: str, got: Json) -> None:
        super().__init__(f"must be {wanted}, not {kind_of(got)}")


def _leaf(wanted: str, *types: type) -> Callable[[Json, Any], Any]:
    """A hook that takes exactly these types: cattrs itself would turn any value into a string or a number."""

    def structure(value: Json, _: Any) -> Any:
        if type(value) not in types:
            raise _Wrong(wanted, value)
        return value

    return structure


def _converter(*, detailed: bool) -> Converter:
    converter = make_converter(detailed_validation=detailed)

    def of_object(cls: type) -> Callable[[Json, Any], Any]:
        base: Callable[[Json, Any], Any] = make_dict_structure_fn(cls, converter)

        def structure(value: Json, of: Any) -> Any:
            if type(value) is not dict:
                raise _Wrong("an object", value)
            return base(value, of)

        return structure

    def of_list(cls: type) -> Callable[[Json, Any], Any]:
        base = list_structure_factory(cls, converter)

        def structure(value: Json, of: Any) -> Any:
            if type(value) is not list:
                raise _Wrong("a list", value)
            return base(value, of)

        return structure

    converter.register_structure_hook(str, _leaf("a string", str))
    converter.register_structure_hook(int, _leaf("an integer", int))
    converter.register_structure_hook(float, _leaf("a number", int, float))
    converter.register_structure_hook(bool, _leaf("true or false", bool))
    converter.register_structure_hook_func(lambda cls: cls == JsonObject, _leaf("an object", dict))
    converter.register_structure_hook_factory(attrs.has, of_object)
    converter.register_structure_hook_factory(lambda cls: getattr(cls, "__origin__", None) is list, of_list)
    return converter


_fast = _converter(detailed=False)
_detailed = _converter(detailed=True)


def structure(value: Json, cls: type[T], path: str = "") -> T:
    """Turns decoded JSON into `cls`. Raises BodyInvalid with the path (below `path`) of the first thing wrong."""
    try:
        return _fast.structure(value, cls)
    except (ValueError, TypeError, KeyError):
        raise _explain(value, cls, path) from None


def _explain(value: Json, cls: type, path: str) -> BodyInvalid:
    steps = [path] if path else []
    problem: BaseException
    try:
        _detailed.structure(value, cls)
    except BaseValidationError as group:
        problem = group
        while isinstance(problem, BaseValidationError):
            problem = problem.exceptions[0]
            for note in getattr(problem, "__notes__", ()):
                if isinstance(note, AttributeValidationNote):
                    steps.append(note.name)
                elif isinstance(note, IterableValidationNote):
                    steps.append(str(note.index))
    except (ValueError, TypeError, KeyError) as error:
        problem = error
    else:  # pragma: no cover - both converters are built by the same function
        raise AssertionError("the detailed pass accepts what the fast pass refused")
    where = ".".join(steps)
    if isinstance(problem, KeyError):
        return BodyInvalid(where, f"field required: {_RIGHT.get(str(problem.args[0]), 'see the API reference')}")
    return BodyInvalid(where, str(problem))
