"""Ids of conversations are version 5 UUIDs, as the standard library makes them."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from kirotrio.kiro.sessions import _spelled, _uuid5


@given(st.uuids(), st.text())
def test_ids_are_those_of_the_standard_library(namespace, name):
    assert _spelled(_uuid5(namespace.bytes, name)) == str(uuid.uuid5(namespace, name))
