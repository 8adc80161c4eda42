"""Who uses the console, as values: users, their sign-ins, invitations. Times are epoch seconds."""

from __future__ import annotations

import enum

from attrs import field

from kirotrio.classes import frozen


class Role(enum.StrEnum):
    """What a user may do: an operator everything; a member what is their own; a viewer looks and changes nothing."""

    OPERATOR = "operator"
    MEMBER = "member"
    VIEWER = "viewer"


class UserState(enum.StrEnum):
    ACTIVE = "active"
    WAITING = "waiting"
    """For an operator's approval."""
    DISABLED = "disabled"


@frozen(kw_only=True)
class User:
    """`name` is what tells users apart (normalised), `display` as its owner writes it. `version` grows whenever all
    sign-ins of before have to end. `second_factor_at`: since when one is asked for, None for none."""

    id: str
    name: str
    display: str = ""
    email: str = ""
    role: Role
    state: UserState = UserState.ACTIVE
    has_password: bool = False
    second_factor_at: float | None = None
    version: int = 1
    language: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0
    last_sign_in_at: float | None = None

    @property
    def is_active(self) -> bool:
        return self.state is UserState.ACTIVE

    @property
    def is_operator(self) -> bool:
        return self.role is Role.OPERATOR


@frozen(kw_only=True)
class Session:
    """A sign-in to the console. `csrf` is what its forms have to bring along. `confirmed_at`: when the password was
    last given. `second_factor_at`: when the second factor was, None where none was asked for.

    `waits_for_code`: the password was right, and the second factor is still to come: nobody is signed in yet.
    `needs_enrolment`: nothing but setting a second factor up is open to this user (users.require_second_factor).
    """

    id: str
    user: User
    csrf: str = field(repr=False)
    created_at: float
    seen_at: float
    expires_at: float
    confirmed_at: float | None = None
    second_factor_at: float | None = None
    address: str = ""
    agent: str = ""
    needs_enrolment: bool = False

    @property
    def waits_for_code(self) -> bool:
        return self.user.second_factor_at is not None and self.second_factor_at is None


@frozen(kw_only=True)
class Invitation:
    """`email`: whom it was meant for, "" for anybody. `created_by`, `used_by`: users' ids."""

    id: str
    role: Role
    email: str = ""
    created_by: str = ""
    created_at: float
    expires_at: float
    used_at: float | None = None
    used_by: str = ""


@frozen(kw_only=True)
class Identity:
    """Who a user is elsewhere. `shown`: how that place calls them."""

    provider: str
    subject: str
    user_id: str
    shown: str = ""
    created_at: float
