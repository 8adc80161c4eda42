"""Which image the first bytes show."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.files import IMAGES

from kirotrio.conversation.images import shown_in_base64, shown_type


@given(st.sampled_from(sorted(IMAGES)), st.binary(max_size=40))
def test_the_first_bytes_show_the_type_whatever_follows(media_type: str, rest: bytes) -> None:
    content = IMAGES[media_type] + rest
    assert shown_type(content) == media_type
    assert shown_in_base64(base64.b64encode(content).decode()) == media_type


@pytest.mark.parametrize(
    "content",
    [b"", b"hi", b"\x89PN", b"\xff\xd8", b"GIF88a", b"RIFF\x1a\x00\x00\x00WAVEfmt ", b"RIFF", b"%PDF-1.7", b"<svg/>"],
)
def test_other_bytes_show_none(content: bytes) -> None:
    assert shown_type(content) is None
    assert shown_in_base64(base64.b64encode(content).decode()) is None
