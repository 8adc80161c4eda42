"""attrs' `define` and `frozen`, at two thirds of their price: what a class costs is what a start waits for.

attrs writes and compiles a `__repr__` for each class, which was a seventh of all that a start does. Here all classes
share one that reads its fields when it is asked, and says the same.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from attrs import define, frozen
else:

    def define(maybe_cls: type | None = None, **options: Any) -> Any:
        """What `attrs.define` does, with the same options."""
        return _decorated(attrs.define, maybe_cls, options)

    def frozen(maybe_cls: type | None = None, **options: Any) -> Any:
        """What `attrs.frozen` does, with the same options."""
        return _decorated(attrs.frozen, maybe_cls, options)


__all__ = ["define", "frozen"]


def _decorated(by: Callable[..., Any], maybe_cls: type | None, options: dict[str, Any]) -> Any:
    shown = options.pop("repr", True)
    decorator = by(repr=False, **options)

    def wrap(cls: type) -> type:
        made: type = decorator(cls)
        if shown and "__repr__" not in vars(made):
            made.__repr__ = _shown  # type: ignore[method-assign,assignment]  # what attrs does too
        return made

    return wrap if maybe_cls is None else wrap(maybe_cls)


@reprlib.recursive_repr("...")
def _shown(self: Any) -> str:
    fields = []
    for one in attrs.fields(type(self)):
        if one.repr is not False:
            value = getattr(self, one.name) if one.init else getattr(self, one.name, attrs.NOTHING)
            fields.append(f"{one.name}={repr(value) if one.repr is True else one.repr(value)}")
    name = type(self).__qualname__.rpartition(">.")[2]
    return f"{name}({', '.join(fields)})"
