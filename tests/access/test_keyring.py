"""What a caller without a right key is told."""

from __future__ import annotations

import pytest

from kirotrio.access.grant import Keyring
from kirotrio.errors import AuthenticationFailed


async def test_a_wrong_key_is_told_of_both_places_of_the_right_one() -> None:
    keyring = Keyring({"default": "sk-kt-0123456789abcdef"})
    with pytest.raises(AuthenticationFailed) as caught:
        await keyring.admit({"x-api-key": "another-key-of-theirs"})
    assert "kirotrio keys show" in caught.value.message
    assert "server.api_key" in caught.value.message
    assert "another-key" not in caught.value.message
