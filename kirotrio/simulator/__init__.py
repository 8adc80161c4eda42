"""A Kiro upstream in a box, for `kirotrio demo`, the tests and the benchmark (CONTRACT, Simulator).

`Simulator.serve` listens; `Simulator.handle_connection` serves any Trio stream, so that a test may run on a mock
clock. `controls` says how a message steers the answer, `pages` what may be asked over HTTP.
"""

from kirotrio.simulator.accounts import (
    BUILDER_ID_ARN,
    DEMO_ACCESS_TOKEN,
    DEMO_API_KEY,
    DEMO_CLIENT_ID,
    DEMO_CLIENT_SECRET,
    DEMO_OIDC_REFRESH_TOKEN,
    DEMO_REFRESH_TOKEN,
    SOCIAL_ARN,
    Account,
    Kind,
    identity_center_account,
)
from kirotrio.simulator.server import Simulator
from kirotrio.simulator.sign_ins import Person
from kirotrio.simulator.streams import Phase, State, StreamRecord
from kirotrio.simulator.subscriptions import Extra, Subscription

__all__ = [
    "BUILDER_ID_ARN",
    "DEMO_ACCESS_TOKEN",
    "DEMO_API_KEY",
    "DEMO_CLIENT_ID",
    "DEMO_CLIENT_SECRET",
    "DEMO_OIDC_REFRESH_TOKEN",
    "DEMO_REFRESH_TOKEN",
    "SOCIAL_ARN",
    "Account",
    "Extra",
    "Kind",
    "Person",
    "Phase",
    "Simulator",
    "State",
    "StreamRecord",
    "Subscription",
    "identity_center_account",
]
