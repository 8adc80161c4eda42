"""The second factor: a code of six digits that changes every 30 seconds (TOTP, RFC 6238), and recovery codes.

Pure. What is kept of it is sealed as a whole: the secret, the step of the last code that was taken, so that none is
taken twice, and the SHA-256 of each recovery code that is left.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

import attrs
import orjson
from attrs import field

from kirotrio.classes import frozen

STEP = 30
_SKEW = 1
"""Steps that a clock may be ahead or behind."""
_RECOVERY_CODES = 10
_RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without signs that look alike."""
_RECOVERY_LENGTH = 10
"""Characters of 31: 49 bits, of what is slowed down as passwords are."""


@frozen
class SecondFactor:
    """`secret` is what codes are made from, "" while there is none; `pending` one that waits for its first code."""

    secret: str = field(default="", repr=False)
    pending: str = field(default="", repr=False)
    last_step: int = -1
    recovery: tuple[str, ...] = field(default=(), repr=False)

    def checked(self, code: str, now: float) -> SecondFactor | None:
        """What is to be kept once this code was given; None where it is wrong, or was given before."""
        code = "".join(code.split()).lower()
        if not self.secret:
            return None
        if (step := _step_of(self.secret, code, now, self.last_step)) is not None:
            return attrs.evolve(self, last_step=step)
        given = _digest(code.replace("-", ""))
        left = tuple(digest for digest in self.recovery if not hmac.compare_digest(digest, given))
        return attrs.evolve(self, recovery=left) if len(left) < len(self.recovery) else None

    def enabled(self, code: str, now: float) -> tuple[SecondFactor, tuple[str, ...]] | None:
        """The pending one, proved by its first code, and its recovery codes; None for a wrong code."""
        step = _step_of(self.pending, "".join(code.split()), now, -1) if self.pending else None
        if step is None:
            return None
        codes = tuple(_recovery_code() for _ in range(_RECOVERY_CODES))
        digests = tuple(_digest(made.replace("-", "")) for made in codes)
        return SecondFactor(self.pending, "", step, digests), codes

    def to_bytes(self) -> bytes:
        return orjson.dumps(attrs.asdict(self))

    @classmethod
    def from_bytes(cls, held: bytes) -> SecondFactor:
        values = orjson.loads(held)
        return cls(values["secret"], values["pending"], values["last_step"], tuple(values["recovery"]))


def begun(before: SecondFactor | None) -> SecondFactor:
    """With a new secret that waits for its first code; what there was goes on until then."""
    import pyotp

    return attrs.evolve(before or SecondFactor(), pending=pyotp.random_base32())


def address_of(secret: str, user: str, issuer: str) -> str:
    """What an authenticator reads: `otpauth://totp/…`."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name=issuer)


def _step_of(secret: str, code: str, now: float, after: int) -> int | None:
    """The step that this is the code of, if it is a later one than `after`."""
    import pyotp

    if len(code) != 6 or not (code.isascii() and code.isdigit()):
        return None
    made, here = pyotp.TOTP(secret), int(now) // STEP
    found = None
    for step in range(here - _SKEW, here + _SKEW + 1):
        if step >= 0 and hmac.compare_digest(made.generate_otp(step), code) and step > after:
            found = step if found is None else found
    return found


def _recovery_code() -> str:
    signs = "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(_RECOVERY_LENGTH))
    return f"{signs[:5]}-{signs[5:]}"


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
