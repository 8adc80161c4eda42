"""The upstream's refusals and what each means: KIRO_PROTOCOL 4 and 3.5 as one table.

`TABLE` is read top to bottom, four times: by reason, then by prose, then by exception type, then by status. So a
reason beats prose whatever the row (prose changes, and broke others), a malformed request stays final when it
comes as a 5xx, and within each pass the earlier row wins. Two rows are never missed, whatever reason comes with their
prose: a suspension, and a suspicion, for which others must not be tried.

A row says which error it is, what another attempt would have to do, how long to wait if the upstream names no time,
and what to tell the person. `Recovery.SWITCH_ACCOUNT` is final for whoever has one account only.
"""

from __future__ import annotations

from collections.abc import Callable

from kirotrio.classes import frozen
from kirotrio.errors import (
    AccountSuspended,
    AccountUnavailable,
    Blame,
    BodyInvalid,
    ContextOverflow,
    KirotrioError,
    NotFound,
    QuotaExhausted,
    RateLimited,
    Recovery,
    TooLarge,
    UpstreamFailed,
    UpstreamOverloaded,
)


def overflow(_: str) -> KirotrioError:
    return ContextOverflow()


def invalid(message: str) -> KirotrioError:
    return BodyInvalid("", message)


@frozen
class Row:
    """One meaning. `phrases`: alternatives; all lower-case pieces of one of them have to occur in the prose."""

    error: Callable[[str], KirotrioError]
    recovery: Recovery
    message: str
    """`{who}` is the account, `{status}` how the refusal came."""
    reasons: tuple[str, ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()
    kinds: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    wait: float | None = None
    blame: Blame = Blame.NONE
    """What it says of the account."""


_SIGN_IN = (
    "Sign in again where this sign-in is kept: with `kirotrio login --again NAME`, in the Kiro IDE, or with "
    "`kiro-cli login`; `kirotrio doctor` says where that is."
)
_LINT = "Not sent again: the same request would be refused again. `kirotrio lint` names what Kiro rejects in a body."

TABLE: tuple[Row, ...] = (
    Row(
        AccountSuspended,
        Recovery.SWITCH_ACCOUNT,
        "Kiro has suspended {who}. Only its owner can have it unlocked, through the support page that Kiro names.",
        reasons=("TEMPORARILY_SUSPENDED",),
        phrases=(("suspended", "locked your account"), ("suspended", "locked it as a security precaution")),
        kinds=("AccountSuspendedException",),
        statuses=(423,),
        blame=Blame.SUSPENDED,
    ),
    Row(
        overflow,
        Recovery.NONE,
        "",
        reasons=("CONTENT_LENGTH_EXCEEDS_THRESHOLD",),
        phrases=(("input is too long",), ("prompt is too long",)),
    ),
    Row(
        NotFound,
        # Per account and for a time only (trap 28); without another account the relay lists the models there are.
        Recovery.SWITCH_ACCOUNT,
        "Kiro does not offer this model to {who} at present. Choose one of `GET /v1/models`.",
        reasons=("INVALID_MODEL_ID",),
        phrases=(("invalid model",),),
        blame=Blame.MODEL,
    ),
    Row(
        invalid,
        Recovery.STRIP_SIGNATURES,
        "Kiro refused the signature of a thinking block in the history: it belongs to another account, model or "
        "beginning of the conversation. Leave the thinking blocks of earlier answers out.",
        reasons=("THINKING_SIGNATURE_INVALID",),
    ),
    Row(
        invalid,
        Recovery.NONE,
        "There are more images in the request than Kiro takes. Send fewer, or leave those of earlier turns out.",
        reasons=("IMAGE_COUNT_EXCEEDED",),
    ),
    Row(
        invalid,
        Recovery.NONE,
        f"Kiro refused the request as malformed. {_LINT}",
        reasons=(
            "TOOL_USE_RESULT_MISMATCH",
            "TOOL_SCHEMA_INVALID",
            "TOOL_CONFIG_MISSING",
            "TOOL_DUPLICATE",
            "REQUEST_BODY_INVALID",
            "INVALID_CONVERSATION_ID",
        ),
        phrases=(
            ("improperly formed request",),
            ("tool_use", "without", "tool_result"),
            ("expected toolresult blocks",),
            ("is not defined in the schema",),
            ("assistant message", "prefill"),
            ("final assistant message",),
        ),
    ),
    Row(
        invalid,
        # Seen on fresh sessions; the identical body passes when sent once more.
        Recovery.RETRY,
        f"Kiro refused the format of a tool use. {_LINT}",
        phrases=(("invalid tool use format",),),
    ),
    Row(
        AccountUnavailable,
        Recovery.NONE,
        "Kiro cannot use the encryption key of the organisation of {who}. Its administrator has to repair the key.",
        reasons=(
            "INVALID_KMS_GRANT",
            "CUSTOMER_KMS_KEY_DISABLED",
            "CUSTOMER_KMS_KEY_INVALID_KEY_POLICY",
            "MISMATCHED_KMS_KEY",
        ),
    ),
    Row(
        AccountUnavailable,
        Recovery.RESOLVE_PROFILE,
        "Kiro does not accept the profile of {who}. Set `accounts.profile_arn` to the subscription's own, "
        "or leave it empty to have it looked up.",
        phrases=(("profilearn",), ("invalid arn",)),
    ),
    Row(
        QuotaExhausted,
        Recovery.SWITCH_ACCOUNT,
        "{who} has met a limit that ends before the plan's next reset. Wait until then.",
        reasons=("WEEKLY_REQUEST_COUNT", "DAILY_REQUEST_COUNT", "HOURLY_REQUEST_COUNT"),
        blame=Blame.SHORT_QUOTA,
    ),
    Row(
        QuotaExhausted,
        Recovery.SWITCH_ACCOUNT,
        "The subscription of {who} is used up until its next reset. Wait for the reset, "
        "or allow overages or choose a larger plan in Kiro's account settings.",
        reasons=(
            "MONTHLY_REQUEST_COUNT",
            "USAGE_LIMIT_REACHED",
            "OVERAGE_REQUEST_LIMIT_EXCEEDED",
            "CONVERSATION_LIMIT_EXCEEDED",
        ),
        phrases=(("you have reached the limit",), ("maximum request reached",)),
        kinds=("ServiceQuotaExceededException",),
        statuses=(402,),
        blame=Blame.QUOTA,
    ),
    Row(
        UpstreamOverloaded,
        Recovery.RETRY,
        "Kiro has no capacity for this model at the moment. Try again shortly, or choose another model.",
        reasons=("INSUFFICIENT_MODEL_CAPACITY", "MODEL_TEMPORARILY_UNAVAILABLE"),
        phrases=(("unexpectedly high load",),),
        kinds=("modelTemporarilyUnavailableEvent", "modelUnavailableEvent"),
    ),
    Row(
        RateLimited,
        # Nobody else is asked in its place: hammering on from other accounts is how those are locked as well.
        # An hour is our own choice: no time was ever seen in such an answer.
        Recovery.NONE,
        "Kiro limits how often {who} may ask while it looks into unusual activity. Pause, and do not retry in a loop: "
        "that leads to a suspension.",
        phrases=(("suspicious activity",), ("temporary limits on how frequently",)),
        wait=3600.0,
        blame=Blame.SUSPICIOUS,
    ),
    Row(
        RateLimited,
        Recovery.SWITCH_ACCOUNT,
        "{who} uses its credits faster than Kiro allows. Wait a few minutes.",
        reasons=("CREDIT_CONSUMPTION_RATE_EXCEEDED",),
        wait=300.0,
        blame=Blame.BURN_RATE,
    ),
    Row(
        RateLimited,
        Recovery.SWITCH_ACCOUNT,
        "Kiro says that {who} asks too often. Wait a moment.",
        reasons=("USER_REQUEST_RATE_EXCEEDED", "SERVICE_REQUEST_RATE_EXCEEDED"),
        phrases=(("too many requests",),),
        kinds=("ThrottlingException", "TooManyRequestsException"),
        statuses=(429,),
        wait=30.0,
        blame=Blame.RATE,
    ),
    Row(
        AccountUnavailable,
        Recovery.SWITCH_ACCOUNT,
        "Kiro does not let {who} make this call. Check its plan and the setting `upstream.flavour`.",
        reasons=(
            "FEATURE_NOT_SUPPORTED",
            "UNAUTHORIZED_CUSTOMIZATION_RESOURCE_ACCESS",
            "UNAUTHORIZED_WORKSPACE_CONTEXT_FEATURE_ACCESS",
        ),
        phrases=(("not authorized to make this call",), ("subscription does not support",)),
        blame=Blame.ACCESS,
    ),
    Row(
        AccountUnavailable,
        Recovery.NONE,
        f"The sign-in of {{who}} has ended: Kiro no longer takes its refresh token. {_SIGN_IN}",
        reasons=("invalid_grant", "invalid_client", "unauthorized_client", "expired_token", "access_denied"),
        kinds=("InvalidGrantException", "InvalidClientException", "ExpiredClientException"),
        blame=Blame.SIGN_IN,
    ),
    Row(
        AccountUnavailable,
        Recovery.RETRY,
        "The sign-in of {who} has not been confirmed in the browser yet.",
        reasons=("authorization_pending", "slow_down"),
    ),
    Row(
        AccountUnavailable,
        # Also every 403 that says nothing we know: one refresh is cheap, and expired tokens give 403.
        Recovery.REFRESH_TOKEN,
        f"Kiro refuses the access token of {{who}}. {_SIGN_IN}",
        phrases=(("bearer token",), ("token expired",), ("token has expired",)),
        kinds=(
            "AccessDeniedException",
            "UnauthorizedException",
            "UnrecognizedClientException",
            "ExpiredTokenException",
            "ExpiredToken",
        ),
        statuses=(401, 403),
    ),
    Row(
        UpstreamFailed,
        Recovery.NONE,
        "Kiro does not know this call at the address that was used ({status}). "
        "Check `upstream.flavour`, `upstream.region` and `upstream.url`.",
        kinds=("UnknownOperationException", "ResourceNotFoundException"),
        statuses=(404, 405, 415),
    ),
    Row(
        UpstreamFailed,
        Recovery.NONE,
        "The proxy demands a sign-in. Put user and password into `upstream.proxy_url`.",
        statuses=(407,),
    ),
    Row(
        TooLarge,
        Recovery.NONE,
        "Kiro refused the request because of its size. Send less: fewer or smaller images, a shorter history.",
        statuses=(413,),
    ),
    Row(
        invalid,
        Recovery.NONE,
        f"Kiro refused the request ({{status}}). {_LINT}",
        kinds=("ValidationException", "SerializationException"),
        statuses=(400, 422),
    ),
    Row(
        UpstreamOverloaded,
        Recovery.RETRY,
        "Kiro is overloaded ({status}). Try again shortly.",
        kinds=("InternalServerException", "ServiceUnavailableException"),
        statuses=(503, 529),
    ),
    Row(
        UpstreamFailed,
        Recovery.NONE,
        "Kiro did not answer the server in front of it in time ({status}).",
        statuses=(524,),
    ),
    Row(
        UpstreamFailed,
        Recovery.RETRY,
        "Kiro failed ({status}). Try again.",
        statuses=(408, 500, 502, 504),
    ),
)

FAILED = TABLE[-1]
"""Any other 5xx."""
REFUSED = Row(
    UpstreamFailed,
    Recovery.NONE,
    "Kiro refused the call ({status}). Check `upstream.flavour`, `upstream.region` and `upstream.url`.",
)
"""Any other 4xx."""
NO_ANSWER = Row(
    UpstreamFailed,
    Recovery.NONE,
    "Kiro gave an answer that is none ({status}). If a proxy or a sign-in page stands between, let this gateway "
    "through; otherwise check `upstream.url`.",
)
"""A success or a redirect where an error or an event stream was due."""
BROKEN = Row(UpstreamFailed, Recovery.RETRY, "Kiro broke its answer off ({status}). Try again.")
"""An exception inside the stream that no row names: the upstream killed the stream (KIRO_PROTOCOL 3.5)."""
