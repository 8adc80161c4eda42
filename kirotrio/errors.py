"""The one exception hierarchy.

Every failure above the I/O boundary is a `KirotrioError`. It knows four things: its `cause` (a row of the
error table in CONTRACT, from which each dialect derives status, type and code), what the relay may do about
it (`recovery`), how long to wait (`retry_after`, seconds), and a sentence that a person can act on.
Messages never contain a secret.
"""

from __future__ import annotations

import enum


class Cause(enum.Enum):
    """One member per row of CONTRACT's error table; dialects map it to status, type and code."""

    BODY_INVALID = "body_invalid"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    NOT_FOUND = "not_found"
    TOO_LARGE = "too_large"
    CONTEXT_OVERFLOW = "context_overflow"
    RATE_LIMITED = "rate_limited"
    QUOTA_EXHAUSTED = "quota_exhausted"
    UPSTREAM_OVERLOADED = "upstream_overloaded"
    ACCOUNT_UNAVAILABLE = "account_unavailable"
    UPSTREAM_FAILED = "upstream_failed"
    DEADLINE = "deadline"
    OVERLOADED = "overloaded"
    THREADS_UNSUPPORTED = "threads_unsupported"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    INTERNAL = "internal"


class Recovery(enum.Enum):
    """What another attempt would have to do differently (KIRO_PROTOCOL 4)."""

    NONE = "none"
    RETRY = "retry"
    """The same body again, after a back-off."""
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - a name, not a secret
    """The access token was refused: refresh it once, then the same body."""
    SWITCH_ACCOUNT = "switch_account"
    """Another account may serve this request."""
    STRIP_SIGNATURES = "strip_signatures"
    """Drop every native reasoning part from the history and resend once."""
    RESOLVE_PROFILE = "resolve_profile"
    """Look the profile ARN up and resend once."""


class Rule(enum.Enum):
    """A rule of this gateway that turns requests away, as it shall. The values are what records keep of it."""

    LIMIT = "limit_reached"
    MAINTENANCE = "maintenance"


class Blame(enum.Enum):
    """What a failure says about the account that met it, and so what the next requests are to expect of it."""

    NONE = "none"
    """Nothing: the request, the network or the upstream as a whole."""
    RATE = "rate"
    BURN_RATE = "burn_rate"
    """Credits are used faster than the plan allows; minutes."""
    SHORT_QUOTA = "short_quota"
    """A limit of an hour, a day or a week, whose end is not told."""
    QUOTA = "quota"
    """Used up until the plan's next reset."""
    SUSPICIOUS = "suspicious"
    """Kiro looks into the account's activity: a long pause, and nobody else is to be asked instead."""
    SUSPENDED = "suspended"
    """Locked until its owner has it unlocked."""
    MODEL = "model"
    """The model is not offered to this account, for a while."""
    ACCESS = "access"
    """The plan or the sign-in does not admit this call."""
    SIGN_IN = "sign_in"
    """The sign-in is over: a person has to sign in again."""


class KirotrioError(Exception):
    """A failure with a cause, a possible recovery and a sentence for a person.

    `upstream_status` and `upstream_reason` hold what the upstream answered, where it was the upstream.
    """

    cause: Cause = Cause.INTERNAL
    recovery: Recovery = Recovery.NONE
    blame: Blame = Blame.NONE
    rule: Rule | None = None
    """The rule of this gateway that has turned the request away: then nothing has failed."""
    should_retry: bool | None = None
    """What a client is to do that retries by the status alone; None leaves it to the client."""

    def __init__(
        self,
        message: str,
        *,
        cause: Cause | None = None,
        recovery: Recovery | None = None,
        blame: Blame | None = None,
        retry_after: float | None = None,
        upstream_status: int | None = None,
        upstream_reason: str | None = None,
        upstream_request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if cause is not None:
            self.cause = cause
        if recovery is not None:
            self.recovery = recovery
        if blame is not None:
            self.blame = blame
        self.retry_after = retry_after
        self.upstream_status = upstream_status
        self.upstream_reason = upstream_reason
        self.upstream_request_id = upstream_request_id

    @property
    def in_full(self) -> str:
        """The sentence for the log and the command line, which may name what is nobody else's business."""
        return self.message

    @property
    def retryable(self) -> bool:
        """Whether any further attempt could succeed."""
        return self.recovery is not Recovery.NONE


class BodyInvalid(KirotrioError):
    """The client's body does not decode. `path` is where (`messages.0.content.1.source`), may be empty."""

    cause = Cause.BODY_INVALID

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class ThreadsUnsupported(KirotrioError):
    """Anthropic message threads: answered so that the SDK falls back to the full history (CLIENTS A)."""

    cause = Cause.THREADS_UNSUPPORTED


class AuthenticationFailed(KirotrioError):
    cause = Cause.AUTHENTICATION


class PermissionDenied(KirotrioError):
    cause = Cause.PERMISSION


class Cancelled(PermissionDenied):
    """A person has ended this answer. A client that asked again by itself would undo that."""

    should_retry = False


class NotFound(KirotrioError):
    """Unknown path, or unknown model; a model's message names those that this account has."""

    cause = Cause.NOT_FOUND

    def __init__(self, message: str, *, model: str | None = None, upstream_status: int | None = None) -> None:
        super().__init__(message, upstream_status=upstream_status)
        self.model = model


class ReferenceNotFound(NotFound):
    """A stored response or item that a request refers to. `param` is where, `code` what clients know it by."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class TooLarge(KirotrioError):
    cause = Cause.TOO_LARGE


class ContextOverflow(KirotrioError):
    """The prompt does not fit the model's window. Clients recognise the wording and compact."""

    cause = Cause.CONTEXT_OVERFLOW

    def __init__(self, tokens: int | None = None, maximum: int | None = None) -> None:
        if tokens is not None and maximum is not None:
            message = f"prompt is too long: {tokens} tokens > {maximum} maximum"
        elif maximum is not None:
            message = f"prompt is too long: the model's maximum is {maximum} tokens"
        else:
            message = "prompt is too long"
        super().__init__(message)
        self.tokens = tokens
        self.maximum = maximum


class RateLimited(KirotrioError):
    cause = Cause.RATE_LIMITED


class LimitReached(RateLimited):
    """A limit of the caller's own key, and none of the upstream's."""

    rule = Rule.LIMIT


class QuotaExhausted(KirotrioError):
    """The subscription's credits are used up until the next reset."""

    cause = Cause.QUOTA_EXHAUSTED


class UpstreamOverloaded(KirotrioError):
    cause = Cause.UPSTREAM_OVERLOADED


class AccountUnavailable(KirotrioError):
    """Our sign-in is refused, the account is suspended, or there is none. The message says what to run."""

    cause = Cause.ACCOUNT_UNAVAILABLE


class AccountSuspended(AccountUnavailable):
    """The upstream has locked the account; only its owner can have it unlocked (KIRO_PROTOCOL, trap 16)."""

    blame = Blame.SUSPENDED


class UpstreamFailed(KirotrioError):
    """The upstream is unreachable, or its stream is broken or cut."""

    cause = Cause.UPSTREAM_FAILED


class ProxyFailed(UpstreamFailed):
    """The outbound proxy is not there, does not admit us, or does not connect.

    `own`: the proxy is one account's own, so that another account may well get through.
    """

    def __init__(self, message: str, *, own: bool = False, recovery: Recovery = Recovery.NONE) -> None:
        super().__init__(message, recovery=recovery)
        self.own = own


class EmptyAnswer(UpstreamFailed):
    """A complete stream without text, thinking or tool call (KIRO_PROTOCOL 3.4)."""


class AnswerUnmet(UpstreamFailed):
    """The answer is whole, but not what the client demanded of it. The same request, sent again, is paid for again."""

    should_retry = False


class DeadlineExceeded(KirotrioError):
    cause = Cause.DEADLINE


class FirstTokenTimeoutError(DeadlineExceeded):
    """No event within `deadlines.first_event`."""


class StreamReadTimeoutError(DeadlineExceeded):
    """Silence between two events for longer than `deadlines.silence`."""


class Overloaded(KirotrioError):
    """This gateway itself is at its limit or draining."""

    cause = Cause.OVERLOADED


class UnderMaintenance(Overloaded):
    """The operator has closed the gateway for a while."""

    rule = Rule.MAINTENANCE


class StoreUnavailable(Overloaded):
    """The database does not answer at present. What it holds is not lost; what is in memory goes on serving.

    The message is for everybody. `detail` says which database and why, and is for `in_full` alone: strangers and
    clients are told neither where the database is nor what its driver said.
    """

    def __init__(self, message: str, *, detail: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.detail = detail
        self.args = (self.in_full,)

    @property
    def in_full(self) -> str:
        return self.detail or self.message


class SettingsError(KirotrioError):
    """A setting or command-line value is wrong; the message names it and says what would be right."""


def without_frames(error: KirotrioError) -> KirotrioError:
    """The error, for whoever keeps it as an answer: neither it nor what it came from has a traceback or cause any more.

    The frames of a traceback hold all of the request. Where one of them holds the error too, or errors name each other,
    that is a cycle, which only the collector frees, and late.
    """
    waiting: list[BaseException | None] = [error]
    groups: set[int] = set()
    while waiting:
        one = waiting.pop()
        if one is None:
            continue
        waiting += (one.__cause__, one.__context__)  # once each, as they are taken away
        if isinstance(one, BaseExceptionGroup) and id(one) not in groups:
            groups.add(id(one))
            waiting += one.exceptions
        one.__traceback__ = one.__cause__ = one.__context__ = None
    return error
