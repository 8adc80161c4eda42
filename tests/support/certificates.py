"""One set of certificates for all of a test run's HTTP clients.

httpx reads certifi's 140 certificates for each client that it makes, whatever that one asks for: 25 ms of a processor,
which was a tenth of all that the tests took. A client that trusts others (`verify=...`) gets a context of its own.
"""

from __future__ import annotations

import contextlib
import functools
import os
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest


@contextlib.contextmanager
def shared_by_all_clients() -> Iterator[None]:
    from httpx._transports import default as transports

    fresh = httpx.create_ssl_context

    @functools.cache
    def usual() -> ssl.SSLContext:
        return fresh(trust_env=False)

    def create(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        named = trust_env and (os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"))
        if verify is not True or cert is not None or named:
            return fresh(verify=verify, cert=cert, trust_env=trust_env)
        return usual()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transports, "create_ssl_context", create)
        yield
