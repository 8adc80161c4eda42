"""What ties a browser's answer to the sign-in that asked for it: `state`, and PKCE (RFC 7636) by Authlib."""

from __future__ import annotations

import hmac
import secrets

from attrs import field

from kirotrio.classes import frozen

METHOD = "S256"


@frozen
class Proof:
    """`challenge` goes with the browser, `verifier` with the code. New ones for every sign-in: `Proof.new()`."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)
    challenge: str

    @classmethod
    def new(cls) -> Proof:
        # Imported here: the library takes a while, and few starts of the program sign anybody in.
        from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]  # it has no types

        verifier = secrets.token_urlsafe(64)
        return cls(secrets.token_urlsafe(32), verifier, create_s256_code_challenge(verifier))

    def fits(self, state: str) -> bool:
        """Whether the state that came back is ours, in a time that does not tell how much of it is."""
        return hmac.compare_digest(state.encode("utf-8", "surrogateescape"), self.state.encode())
