"""What a search found, in the form in which it goes out to a client and comes back with the history.

Clients send a result's opaque content back as they received it; the text in it is what lets a later answer rest on
what an earlier one found (KIRO_PROTOCOL 9). It is no secret, only opaque: base64 behind a mark of ours, so that what
another service has sealed is told apart.
"""

from __future__ import annotations

import base64
import binascii

MARK = "ktw1."
LONGEST = 4000
"""Characters that are kept: they come back with every later request."""


def seal(text: str) -> str:
    """`text`, at most `LONGEST` characters of it, as ASCII. Halves of surrogate pairs become U+FFFD."""
    kept = text[:LONGEST].encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return MARK + base64.b64encode(kept.encode()).decode()


def unseal(sealed: object) -> str | None:
    """The text of `seal`; None for what is not of our making."""
    if not isinstance(sealed, str) or not sealed.startswith(MARK):
        return None
    try:
        return base64.b64decode(sealed.removeprefix(MARK), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
