"""Ids of conversations are version 5 UUIDs, as the standard library makes them."""

from __future__ import annotations

import uuid

from hypothesis import given
from hypothesis import strategies as st

from kirotrio.kiro.sessions import _spelled, _uuid5, new_invocation_id


@given(st.uuids(), st.text())
def test_ids_are_those_of_the_standard_library(namespace, name):
    assert _spelled(_uuid5(namespace.bytes, name)) == str(uuid.uuid5(namespace, name))


def test_an_invocation_is_named_by_a_random_uuid_of_its_own():
    named = {new_invocation_id() for _ in range(200)}
    assert len(named) == 200
    for one in named:
        assert str(uuid.UUID(one)) == one
        assert (uuid.UUID(one).version, uuid.UUID(one).variant) == (4, uuid.RFC_4122)
