"""JSON as attrs classes, in two ways.

The fast way stops at the first thing that is wrong and says nothing about it; only then the detailed way walks
the same JSON again and finds the path. What is typed `Json` in a class is read by hand: it is either hot (content) or
open-ended (settings that every client spells differently).
"""

from __future__ import annotations

from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, TypeAlias, TypeVar, get_args

import attrs
from cattrs import BaseValidationError, Converter
from cattrs.cols import list_structure_factory
from cattrs.errors import AttributeValidationNote, IterableValidationNote
from cattrs.gen import make_dict_structure_fn

from kirotrio.conversation.request import Json
from kirotrio.dialects.reading import kind_of
from kirotrio.errors import BodyInvalid

JsonObject: TypeAlias = dict[str, Any]
T = TypeVar("T")

_RIGHT = {
    "model": "a model's name",
    "messages": "a list of messages",
    "role": '"user", "assistant" or "system"',
    "type": "a string that names the type",
}
"""What would stand where a required field is missing."""


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


def _is_optional(cls: Any) -> bool:
    """Whether it is one type or None."""
    arguments = get_args(cls)
    return isinstance(cls, UnionType) and len(arguments) == 2 and NoneType in arguments


def _converter(*, detailed: bool) -> Converter:
    converter = Converter(detailed_validation=detailed)

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

    def of_optional(cls: Any) -> Callable[[Json, Any], Any]:
        # The converter's own way looks its hook up for every value, which is half of what a message costs.
        (inner,) = (argument for argument in get_args(cls) if argument is not NoneType)
        base = converter.get_structure_hook(inner)
        return lambda value, _: None if value is None else base(value, inner)

    converter.register_structure_hook(str, _leaf("a string", str))
    converter.register_structure_hook(int, _leaf("an integer", int))
    converter.register_structure_hook(float, _leaf("a number", int, float))
    converter.register_structure_hook(bool, _leaf("true or false", bool))
    converter.register_structure_hook_func(lambda cls: cls == JsonObject, _leaf("an object", dict))
    converter.register_structure_hook_factory(_is_optional, of_optional)
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
