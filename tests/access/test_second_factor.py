"""Codes that change every 30 seconds: which of them count, and each once."""

from __future__ import annotations

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.access.second_factor import SecondFactor, address_of, begun

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
NOW = 1_700_000_010.0
TOTP = pyotp.TOTP(SECRET)


@pytest.mark.parametrize("skew", [-30, 0, 30])
def test_a_clock_may_be_a_step_off(skew: int) -> None:
    assert SecondFactor(SECRET).checked(TOTP.at(int(NOW) + skew), NOW)


@pytest.mark.parametrize("skew", [-3600, -60, 60, 3600])
def test_a_clock_may_not_be_further_off(skew: int) -> None:
    assert SecondFactor(SECRET).checked(TOTP.at(int(NOW) + skew), NOW) is None


@given(steps=st.lists(st.integers(-1, 1), min_size=1, max_size=8), gap=st.integers(0, 40))
def test_a_step_is_taken_once_and_none_before_it_after_it(steps: list[int], gap: int) -> None:
    factor, latest, now = SecondFactor(SECRET), -1, NOW
    for skew in steps:
        step = int(now) // 30 + skew
        after = factor.checked(TOTP.generate_otp(step), now)
        assert (after is not None) == (step > latest)
        if after is not None:
            factor, latest = after, step
            assert SecondFactor.from_bytes(after.to_bytes()) == after
        now += gap


@given(st.text(max_size=12))
def test_what_is_no_code_is_refused(code: str) -> None:
    if code.strip() not in {TOTP.at(int(NOW) + skew) for skew in (-30, 0, 30)}:
        assert SecondFactor(SECRET).checked(code, NOW) is None


@pytest.mark.parametrize("code", ["１２３４５６", "123456\n7", "", "12345", "+12345"])
def test_other_digits_are_no_code(code: str) -> None:
    assert SecondFactor(SECRET).checked(code, NOW) is None


def test_without_a_secret_nothing_is_right() -> None:
    assert SecondFactor().checked("", NOW) is None
    assert SecondFactor().enabled("", NOW) is None


def test_a_new_secret_counts_once_its_first_code_came_and_the_old_one_until_then() -> None:
    factor = begun(SecondFactor(SECRET))
    assert factor.checked(TOTP.at(int(NOW)), NOW)
    assert factor.enabled(TOTP.at(int(NOW)), NOW) is None
    done = factor.enabled(pyotp.TOTP(factor.pending).at(int(NOW)), NOW)
    assert done is not None
    assert done[0].checked(TOTP.at(int(NOW)), NOW) is None
    assert done[0].checked(pyotp.TOTP(factor.pending).at(int(NOW)), NOW) is None, "the code that proved it was given"
    assert done[0].checked(pyotp.TOTP(factor.pending).at(int(NOW) + 30), NOW)
    assert done[0].checked(done[1][0], NOW)


def test_neither_secret_nor_codes_are_shown() -> None:
    factor = SecondFactor(SECRET, SECRET, 1, ("digest",))
    assert SECRET not in repr(factor)
    assert "digest" not in repr(factor)


def test_an_authenticator_is_told_whose_it_is() -> None:
    assert address_of(SECRET, "anna@b", "kirotrio") == (
        f"otpauth://totp/kirotrio:anna%40b?secret={SECRET}&issuer=kirotrio"
    )
