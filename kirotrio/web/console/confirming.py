"""The page that asks who somebody is once more: by the password, or where they have none, where they sign in elsewhere.

Nothing of a form that waits is kept here: its page holds it, while the person confirms in another tab.
"""

from __future__ import annotations

from typing import Any, Final

from kirotrio.web.console.origin import token_of_link
from kirotrio.web.console.pages import page
from kirotrio.web.console.visit import Visit, people_of
from kirotrio.web.gateway import Gateway
from kirotrio.web.incoming import Runs

CONFIRM: Final = "/console/confirm"
DONE: Final = CONFIRM + "/done"
"""Where a tab ends that was opened to confirm."""


async def confirm_page(gateway: Gateway, visit: Visit, status: int = 200, problem: str = "", **values: Any) -> Runs:
    """`values`: `next`, where to go then; or `kept`, what a form has sent, and `again`, its field for the password."""
    providers = []
    if not visit.user.has_password:
        known = {one.provider for one in await (await people_of(gateway)).identities_of(visit.user.id)}
        providers = [one for one in gateway.elsewhere.providers.values() if one.key in known]
    proof = token_of_link("confirm", visit.csrf)
    return page(
        gateway,
        visit,
        "confirm.html",
        status=status,
        problem=problem,
        providers=providers,
        proof=proof,
        done=DONE,
        **values,
    )
