"""What became of a request, in words. The codes that records and logs have stand beside them as titles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kirotrio.web.console.languages import N_

RESULTS: Final[Mapping[str, str]] = {
    "end_turn": N_("Complete"),
    "tool_use": N_("Calls a tool"),
    "max_tokens": N_("Cut at the length asked for"),
    "stop_sequence": N_("Ended at a stop sequence"),
    "context_full": N_("Context is full"),
    "refusal": N_("The model declined"),
    "client gone": N_("The client left"),
    "stopped": N_("Cut by the gateway's stop"),
    "cancelled": N_("Ended by hand"),
    "ok": N_("Answered"),
    "body_invalid": N_("Malformed request"),
    "authentication": N_("Key not accepted"),
    "permission": N_("Not permitted"),
    "not_found": N_("No such model or thing"),
    "too_large": N_("Too large"),
    "context_overflow": N_("Longer than the context"),
    "limit_reached": N_("A limit of the key is reached"),
    "maintenance": N_("Closed for maintenance"),
    "rate_limited": N_("Asked too often"),
    "quota_exhausted": N_("Credits used up"),
    "upstream_overloaded": N_("Kiro is overloaded"),
    "account_unavailable": N_("No account could answer"),
    "upstream_failed": N_("Kiro failed"),
    "deadline": N_("Took too long"),
    "overloaded": N_("The gateway is overloaded"),
    "threads_unsupported": N_("Threads are not supported"),
    "method_not_allowed": N_("No such call"),
    "internal": N_("Error in the gateway"),
    "refresh_token": N_("Token was renewed"),
    "strip_signatures": N_("Repeated without signatures"),
    "resolve_profile": N_("Profile was looked up anew"),
}
"""By the code of a whole request, or of one attempt. One that Kiro itself gave for an attempt has no word."""

USAGE: Final[Mapping[str, str]] = {"measured": N_("Measured"), "estimate": N_("Estimated")}
"""How a request's input tokens are known."""
