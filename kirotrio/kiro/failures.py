"""What is said of a call that broke, and whether the next attempt may fare better. Pure: exceptions in, ours out."""

from __future__ import annotations

import ssl

from kirotrio.errors import Recovery, UpstreamFailed
from kirotrio.kiro.connections import BROKEN
from kirotrio.kiro.http1 import UnfitRequest
from kirotrio.kiro.tunnels import ConnectFailed, ConnectTimedOut


def broke(error: BaseException, host: str) -> UpstreamFailed:
    """A connection that was cut."""
    return UpstreamFailed(f"the connection to {host} broke: {_reason(error)}", recovery=Recovery.RETRY)


def translated(error: BaseException, host: str) -> UpstreamFailed | None:
    """What breaks beneath is one of our own errors above, once, here; None for what is none of these."""
    if isinstance(error, ConnectTimedOut):
        sentence = f"could not connect to {host} in time; check the network and the proxy"
        return UpstreamFailed(sentence, recovery=Recovery.RETRY)
    if isinstance(error, ConnectFailed):
        recovery = Recovery.NONE if _distrusted(error) is not None else Recovery.RETRY
        return UpstreamFailed(f"could not connect to {host}: {_reason(error)}", recovery=recovery)
    if isinstance(error, UnfitRequest | UnicodeError):
        # Never with the library's words: they quote the header, and the token is in it.
        return UpstreamFailed(
            f"a call to {host} could not be made: the sign-in's token, or a setting that goes into a header, "
            "has characters that no header may have; `kirotrio doctor` looks at it"
        )
    if isinstance(error, (*BROKEN, OSError)):
        return broke(error, host)
    return None


def _reason(error: BaseException) -> str:
    """What a person can act on: the library's own sentence, or that of what lies beneath it."""
    distrusted = _distrusted(error)
    if distrusted is not None:
        return (
            f"its certificate is not trusted: {distrusted.verify_message}. Look at the clock; where a proxy or a virus "
            "scanner opens TLS, add its root to the system's and set upstream.certificates to system"
        )
    beneath: BaseException | None = error
    said = ""
    while beneath is not None and not said:
        said = str(beneath)
        beneath = beneath.__cause__ or beneath.__context__
    return said or type(error).__name__


def _distrusted(error: BaseException) -> ssl.SSLCertVerificationError | None:
    """What is wrong with the peer's certificate: the next attempt would find it so, too."""
    beneath: BaseException | None = error
    while beneath is not None:
        if isinstance(beneath, ssl.SSLCertVerificationError):
            return beneath
        beneath = beneath.__cause__ or beneath.__context__
    return None
