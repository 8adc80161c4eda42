"""What the relay needs of its neighbours: a dialect above it, a socket to write to, a subscription below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol

from kirotrio.accounts.lending.wish import Wish
from kirotrio.classes import frozen
from kirotrio.errors import KirotrioError
from kirotrio.kiro.credentials import Credentials
from kirotrio.kiro.models import ModelProfile

if TYPE_CHECKING:
    from kirotrio.conversation.events import Event, Usage


class StreamEncoder(Protocol):
    """Generation events to the bytes of one server-sent event stream."""

    def start(self, usage: Usage) -> bytes:
        """The head of the message, with the input count that is known so far."""

    def encode(self, batch: Iterable[Event]) -> bytes: ...

    def keep_alive(self) -> bytes:
        """A sign of life that is legal at this point, also before the head of the message."""

    def failure(self, error: KirotrioError) -> bytes:
        """The legal end of a stream that fails."""


class BodyEncoder(Protocol):
    """Generation events to one JSON body."""

    def add(self, batch: Iterable[Event]) -> None: ...

    def body(self) -> bytes: ...


@frozen
class Refusal:
    """An answer that is an error: what goes out in place of the stream."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Dialect(Protocol):
    """One request's view of the language that its client speaks. Both encoders carry the same message id.

    `eager`: the head of its stream says nothing that is known only at the end, and leaves as soon as the upstream has
    taken the request on, in the buffered mode too.
    """

    @property
    def eager(self) -> bool: ...

    def stream(self) -> StreamEncoder: ...

    def body(self) -> BodyEncoder: ...

    def refusal(self, error: KirotrioError) -> Refusal: ...


class Sink(Protocol):
    """Where the answer goes. Every method returns once the bytes are handed on; a client that does not read
    blocks them until the connection's write deadline closes it."""

    async def start(self, status: int, headers: Mapping[str, str], cookies: Sequence[str] = ()) -> None:
        """`cookies` are Set-Cookie fields, of which there may be several."""

    async def write(self, piece: bytes) -> None: ...

    async def finish(self, piece: bytes) -> None:
        """The last bytes and the end of the body."""


class PromptSink(Sink, Protocol):
    """One that can also write without waiting."""

    def write_now(self, piece: bytes) -> bytes:
        """What was not taken of it at once, in a form that `write_rest` takes. Nothing else is written before that."""

    async def write_rest(self, rest: bytes) -> None: ...


class Loan(Protocol):
    """One request's hold on one account, and its way to another."""

    @property
    def name(self) -> str:
        """Of the account that answers now."""

    @property
    def model(self) -> ModelProfile:
        """What this account knows of the model that was asked for."""

    @property
    def has_other(self) -> bool:
        """Whether another account could answer, as far as is known."""

    async def pace(self, *, again: bool = False) -> None:
        """Wait until the account may be asked to generate once more. Raises RateLimited.

        `again`: it failed before. Then it is not asked if it has come to a pause meanwhile: a KirotrioError says so,
        and whether another account may be asked.
        """

    async def credentials(self) -> Credentials:
        """Usable now; refreshes ahead of expiry. Raises AccountUnavailable."""

    async def refused(self, token: str) -> None:
        """The upstream refused this access token: get another, once. Raises AccountUnavailable."""

    async def resolve_profile(self) -> None:
        """The upstream asked for a profile: look it up. Raises AccountUnavailable."""

    def served(self) -> None:
        """It has answered."""

    async def blamed(self, error: KirotrioError) -> KirotrioError:
        """Note what a failure says of the account; back comes the error with what is known beside it."""

    async def switch(self) -> bool:
        """Let another account answer from now on; False where none can. Raises RateLimited."""

    def told(self, error: KirotrioError) -> KirotrioError:
        """The last error of a request, with the state of the other accounts that could not answer in its place."""


class Lender(Protocol):
    def borrow(self, wish: Wish) -> AbstractAsyncContextManager[Loan]:
        """The account that shall answer, and a place on it. Entering raises what the client is to be told where there
        is none; leaving gives the place back."""
