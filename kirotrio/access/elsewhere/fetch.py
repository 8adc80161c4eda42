"""The calls that a sign-in elsewhere makes, as this room sees them, and what their answers have to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from attrs import field

from kirotrio.access.elsewhere.identity import ElsewhereFailed, Trouble
from kirotrio.classes import frozen

LARGEST_ANSWER = 512 * 1024
"""Of any document of a provider, in bytes; the largest sets of keys have some ten thousand."""

JSON = {"accept": "application/json"}


@frozen
class Fetched:
    """A whole answer; `body` may hold a secret and is not shown."""

    status: int
    body: bytes = field(repr=False)


class Fetch(Protocol):
    async def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Fetched:
        """One call. A redirect is an answer like any other and is not followed.

        Raises ElsewhereFailed (UNREACHABLE) where there is no answer within the deadline, or one of more than
        `LARGEST_ANSWER` bytes.
        """


def json_object(answer: Fetched, what: str) -> dict[str, Any]:
    """The object that a success has to be. `what` is the document's name, for the message. Raises ElsewhereFailed."""
    value = json_value(answer, what)
    if not isinstance(value, dict):
        raise ElsewhereFailed(f"the provider's {what} is no JSON object", Trouble.MISCONFIGURED)
    return value


def json_value(answer: Fetched, what: str) -> Any:
    """Any JSON of a success. Raises ElsewhereFailed."""
    if answer.status >= 500 or answer.status == 429:
        raise ElsewhereFailed(f"the provider answered {answer.status} for its {what}", Trouble.UNREACHABLE)
    if answer.status != 200:
        raise ElsewhereFailed(f"the provider answered {answer.status} for its {what}", Trouble.MISCONFIGURED)
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise ElsewhereFailed(f"the provider's {what} is no JSON", Trouble.MISCONFIGURED) from None


def bearer(access_token: str) -> dict[str, str]:
    """The head of a call in a person's name. Raises ElsewhereFailed for a token that no head can carry."""
    if not access_token.isascii() or not access_token.isprintable() or " " in access_token:
        raise ElsewhereFailed("the provider's access token cannot be sent in a header", Trouble.UNTRUSTED)
    return {**JSON, "authorization": f"Bearer {access_token}"}
