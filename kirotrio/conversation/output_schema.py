"""Whether a text is the JSON that was asked for.

The JSON is read strictly (no NaN, nothing around it). The schema is of the draft that its `$schema` names, 2020-12
where it names none. References lead nowhere but into the schema itself and the drafts' own: nothing is fetched.
`format` is not asserted, as 2020-12 has it. Patterns are searched with a time limit each; one that takes longer, or
that no engine here can read, counts as met, since nothing is known against it.

How long all of it takes is in the hands of whoever wrote schema and answer, so both functions call `tick` again and
again, which ends the work by raising.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, Never, TypeAlias

import attrs
import regex
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema.validators import Draft202012Validator, extend, validator_for
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # has neither types nor stubs
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, specification_with

from kirotrio.conversation.request import Json, OutputSchema
from kirotrio.errors import BodyInvalid

LONGEST_TOLD = 300
"""Characters of a sentence about what is wrong."""
_PATTERN_SECONDS = 1.0
_MOST_ERRORS = 50
"""The best of so many is told."""

Tick: TypeAlias = Callable[[], object]
Rule: TypeAlias = Callable[[Any, Any, Any, Any], Iterable[ValidationError] | None]
"""A keyword's: validator, what the schema demands, what is looked at, the schema around the keyword."""


def check_schema(wanted: OutputSchema, tick: Tick = lambda: None) -> None:
    """Raise BodyInvalid, with the path in the client's body, where the schema is none. May take a second per 100 KB."""

    schema = wanted.schema
    if schema is None:
        return
    if not isinstance(schema.get("$schema", ""), str):
        raise BodyInvalid(wanted.path, "the schema's $schema must be a string, the name of a draft of JSON Schema")
    try:
        draft = _draft(schema)
        meta = _ticking(draft, draft.META_SCHEMA, tick)
        wrong = best_match(islice(meta.iter_errors(schema), _MOST_ERRORS))
        if wrong is not None:
            raise BodyInvalid(wanted.path, _short(f"this is no JSON schema: {wrong.json_path}: {wrong.message}"))
        lost = _lost_reference(draft, schema)
        if lost is not None:
            what = f"the schema's reference {lost!r} leads nowhere; only what the schema itself holds is followed"
            raise BodyInvalid(wanted.path, _short(what))
    except RecursionError:
        raise BodyInvalid(wanted.path, "the schema is nested too deeply") from None


def flaw(text: str, schema: Mapping[str, Json] | None, tick: Tick = lambda: None) -> str | None:
    """What keeps `text` from being the JSON asked for, in at most 300 characters; None where nothing does.

    `schema` None asks for any object. Values of the answer are not told, only where they stand.
    """

    if not text.strip():
        return "there is no text"
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return f"this is not JSON: {error.msg} at character {error.pos} of {len(text)}"
    except ValueError:
        return "this is not JSON: a number is NaN, infinite or too long"
    except RecursionError:
        return "it is nested too deeply to be checked"
    if schema is None:
        return None if isinstance(value, dict) else "$: must be an object"
    try:
        validator = _ticking(_draft(schema), schema, tick)
        wrong = best_match(islice(validator.iter_errors(value), _MOST_ERRORS))
    except Unresolvable:
        return "a reference in the schema leads nowhere"
    except RecursionError:
        return "schema or answer is nested too deeply to be checked"
    return None if wrong is None else _told(wrong)


def _told(error: ValidationError) -> str:
    """Where, and which demand of the schema is not met."""
    keyword: Any = error.validator  # its stubs leave out that a schema which is `false` has none
    demand: Any = error.validator_value
    if keyword is None:
        what = "holds what the schema forbids"  # a schema that is `false`; the library leaves the last step out
    elif keyword == "required":
        what = error.message  # names a property of the schema
    elif keyword == "type":
        what = f"must be of type {demand if isinstance(demand, str) else ' or '.join(map(str, demand))}"
    else:
        what = f"does not meet {json.dumps({keyword: demand}, ensure_ascii=False, default=str)[1:-1]}"
    return _short(f"{error.json_path}: {what}")


def _short(sentence: str) -> str:
    return sentence if len(sentence) <= LONGEST_TOLD else sentence[: LONGEST_TOLD - 1] + "…"


def _no_constant(name: str) -> Never:
    raise ValueError(name)


def _draft(schema: Mapping[str, Json]) -> Any:

    return validator_for(schema, default=Draft202012Validator)


def _ticking(draft: Any, schema: Mapping[str, Json], tick: Tick) -> Validator:
    """A validator that looks at the time before each keyword, and whose patterns are searched by an engine with one."""

    rules = {**draft.VALIDATORS, **_OWN}
    if _mentions(schema, "patternProperties"):
        # The library's rule searches these patterns without a limit.
        rules["unevaluatedProperties"] = lambda *_: None
    build: Any = extend  # untyped in its stubs
    own = build(draft, validators={name: _timed(rule, tick) for name, rule in rules.items()})
    # By itself it would go back to the library's class wherever a `$schema` stands.
    own.evolve = attrs.evolve
    validator: Validator = own(schema, registry=Registry())
    return validator


def _timed(rule: Rule, tick: Tick) -> Rule:
    def timed(validator: Any, demand: Json, instance: Json, schema: Json) -> Iterable[ValidationError] | None:
        tick()
        return rule(validator, demand, instance, schema)

    return timed


def _pattern(_validator: Any, pattern: str, instance: Json, _schema: Json) -> Iterator[ValidationError]:
    if isinstance(instance, str) and _found(pattern, instance) is False:
        yield ValidationError("the pattern is not found")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, Json], instance: Json, _schema: Json
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, wanted in patterns.items():
        for name, value in instance.items():
            if _found(pattern, name):
                yield from validator.descend(value, wanted, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, wanted: Json, instance: Json, schema: Mapping[str, Json]
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in named or any(_found(pattern, name) is not False for pattern in patterns):
            continue
        if wanted is False:
            yield ValidationError("a property that the schema does not name")
        else:
            yield from validator.descend(value, wanted, path=name)


_OWN: Final[Mapping[str, Rule]] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
}


def _found(pattern: str, text: str) -> bool | None:
    """Whether the pattern is in the text; None where that is not to be known."""
    try:
        return regex.search(pattern, text, timeout=_PATTERN_SECONDS, concurrent=True) is not None
    except (regex.error, TimeoutError, ValueError, OverflowError, RecursionError):
        return None


def _mentions(schema: Json, name: str) -> bool:
    """Whether any object in the schema has a member of this name."""
    waiting = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            if name in value:
                return True
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return False


def _lost_reference(draft: Any, schema: Mapping[str, Json]) -> str | None:
    """A `$ref` that leads nowhere, or None."""

    dialect = draft.META_SCHEMA.get("$id") or draft.META_SCHEMA.get("id") or ""
    root = specification_with(dialect, default=DRAFT202012).create_resource(schema)
    waiting = [(root, REGISTRY.resolver_with_root(root))]
    while waiting:
        resource, resolver = waiting.pop()
        if isinstance(resource.contents, Mapping):
            reference = resource.contents.get("$ref")
            try:
                if isinstance(reference, str):
                    resolver.lookup(reference)
            except Unresolvable:
                return reference
        waiting += [(inner, resolver.in_subresource(inner)) for inner in resource.subresources()]
    return None
