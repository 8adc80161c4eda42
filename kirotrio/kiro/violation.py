"""What the service rejects, as a value, and the list that the linter's rooms fill."""

from __future__ import annotations

from kirotrio.classes import frozen
from kirotrio.conversation.request import Json

IMPROPER = "Improperly formed request."


@frozen
class Violation:
    """One rule broken at `path`. `message` and `reason` are what the service answers, with HTTP `status`.

    `rule` says in our words what is wrong and what would be right.
    """

    path: str
    rule: str
    message: str = IMPROPER
    reason: str | None = "REQUEST_BODY_INVALID"
    status: int = 400


class Findings:
    """Collects violations, in the order in which the body is read."""

    def __init__(self) -> None:
        self.found: list[Violation] = []

    def add(self, path: str, rule: str) -> None:
        self.found.append(Violation(path, rule))

    def mismatch(self, path: str, rule: str) -> None:
        message = "`tool_use` ids were found without `tool_result` blocks immediately after"
        self.found.append(Violation(path, rule, message, "TOOL_USE_RESULT_MISMATCH"))

    def duplicate(self, path: str, rule: str) -> None:
        self.found.append(Violation(path, rule, "Duplicate tool.", "TOOL_DUPLICATE"))

    def schema(self, path: str, rule: str) -> None:
        self.found.append(Violation(path, rule, "Invalid tool schema.", "TOOL_SCHEMA_INVALID"))

    def invalid_value(self, path: str, rule: str, message: str) -> None:
        """A ValidationException that names no reason."""
        self.found.append(Violation(path, rule, message, None))

    def object(self, value: Json, path: str) -> dict[str, Json] | None:
        """The value if it is an object; else None, and the finding."""
        if isinstance(value, dict):
            return value
        self.add(path, f"has to be an object, not {_kind(value)}")
        return None

    def array(self, value: Json, path: str) -> list[Json]:
        if isinstance(value, list):
            return value
        self.add(path, f"has to be an array, not {_kind(value)}")
        return []

    def text(self, value: Json, path: str, *, empty: bool = False) -> str | None:
        if isinstance(value, str) and (value or empty):
            return value
        self.add(
            path, "has to be a string that is not empty" if value == "" else f"has to be a string, not {_kind(value)}"
        )
        return None

    def choice(self, value: Json, path: str, allowed: frozenset[str]) -> None:
        if not isinstance(value, str) or value not in allowed:
            self.add(path, f"has to be one of {', '.join(sorted(allowed))}")


def _kind(value: Json) -> str:
    match value:
        case None:
            return "null or absent"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
