"""Members of JSON objects, read one by one with the path of what is wrong."""

from __future__ import annotations

from collections.abc import Iterator

from kirotrio.conversation.request import Json
from kirotrio.dialects.reading import kind_of
from kirotrio.dialects.structure import JsonObject
from kirotrio.errors import BodyInvalid


def string(holder: JsonObject, key: str, path: str, *, filled: bool = False) -> str:
    """The string under `key` of the object at `path`. Raises BodyInvalid, also for "" where it has to be `filled`."""
    value = holder.get(key)
    if type(value) is not str:
        if value is None:
            raise BodyInvalid(f"{path}.{key}", "field required: a string")
        raise BodyInvalid(f"{path}.{key}", f"must be a string, not {kind_of(value)}")
    if filled and not value:
        raise BodyInvalid(f"{path}.{key}", "must not be empty")
    return value


def optional_string(holder: JsonObject, key: str, path: str) -> str | None:
    return None if holder.get(key) is None else string(holder, key, path)


def member(holder: JsonObject, key: str, path: str) -> JsonObject:
    """The object under `key` of the object at `path`. Raises BodyInvalid."""
    value = holder.get(key)
    if type(value) is not dict:
        raise BodyInvalid(
            f"{path}.{key}",
            "field required: an object" if value is None else f"must be an object, not {kind_of(value)}",
        )
    return value


def optional_object(holder: JsonObject, key: str, path: str) -> JsonObject:
    """The object under `key`, {} where there is none. Raises BodyInvalid."""
    return {} if holder.get(key) is None else member(holder, key, path)


def optional_list(holder: JsonObject, key: str, path: str) -> list[Json]:
    """The list under `key`, [] where there is none. Raises BodyInvalid."""
    value = holder.get(key)
    if value is None:
        return []
    if type(value) is not list:
        raise BodyInvalid(f"{path}.{key}", f"must be a list, not {kind_of(value)}")
    return value


def typed_entries(content: Json, path: str, what: str, example: str) -> Iterator[tuple[str, str, JsonObject]]:
    """Path, type and object of each entry of a list of content; `what` they are called, `example` is a type.

    Raises BodyInvalid when it comes to an entry that is none.
    """
    if type(content) is not list:
        if content is None:
            raise BodyInvalid(path, f"field required: a string or a list of {what}s")
        raise BodyInvalid(path, f"must be a string or a list of {what}s, not {kind_of(content)}")
    noun = what.rpartition(" ")[2]
    for index, entry in enumerate(content):
        here = f"{path}.{index}"
        if type(entry) is not dict:
            raise BodyInvalid(here, f"must be a {what} (an object with a type), not {kind_of(entry)}")
        kind = entry.get("type")
        if type(kind) is not str:
            raise BodyInvalid(f"{here}.type", f'must be a string that names the {noun} type, such as "{example}"')
        yield here, kind, entry
