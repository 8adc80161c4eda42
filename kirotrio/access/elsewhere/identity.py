"""Who somebody is elsewhere, and why it could not be found out."""

from __future__ import annotations

import enum

from kirotrio.classes import frozen
from kirotrio.errors import AuthenticationFailed

LONGEST_SUBJECT = 255
"""OpenID Connect Core 2: a subject has at most so many characters."""
LONGEST_SHOWN = 320


@frozen
class Identity:
    """What a provider vouches for. `provider` and `subject` together are one person for ever; nothing else here is.

    `shown` is for people: a name or an address. `name` is what the person is called there, as a proposal for a user's
    name, "" for none. `email` is "" unless the provider says that it is verified; it is shown and never matched by.
    """

    provider: str
    subject: str
    shown: str
    name: str = ""
    email: str = ""


class Trouble(enum.Enum):
    """Why a sign-in elsewhere failed; a page says it in the person's language."""

    DECLINED = "declined"
    """The person, or the provider, said no."""
    EXPIRED = "expired"
    """It took too long, was begun in another browser, or its answer was used already."""
    UNREACHABLE = "unreachable"
    """The provider did not answer, or not in time."""
    MISCONFIGURED = "misconfigured"
    """The provider does not know this gateway, or the settings do not fit it: the operator's to mend."""
    UNTRUSTED = "untrusted"
    """What the provider sent proves nothing."""
    NOT_ADMITTED = "not_admitted"
    """It is known who this is, but the settings do not admit them."""


class ElsewhereFailed(AuthenticationFailed):
    """A sign-in elsewhere that did not succeed. The message is for the log: it says what was wrong, without secrets and
    without a word that the other side chose."""

    def __init__(self, message: str, trouble: Trouble) -> None:
        super().__init__(message)
        self.trouble = trouble


def printable(value: object, longest: int) -> str:
    """Text from outside that may be shown: one line, no signs that do not print, cut to `longest`. "" for no text."""
    if not isinstance(value, str):
        return ""
    return "".join(letter for letter in value[: 4 * longest] if letter.isprintable()).strip()[:longest].rstrip()
