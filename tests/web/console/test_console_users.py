"""Users, invitations and the audit log as pages, over real sockets."""

from __future__ import annotations

import re
from html import unescape

from support.console import PASSWORD, browser, kept_fields, let_confirmation_end, notice

from kirotrio.access.audit import COMMAND_LINE
from kirotrio.store.user_record import Role
from kirotrio.web.console.guarding import AGAIN

SCRIPT = "<script>alert(1)</script>"
OTHER = "another good pass phrase"


def address_of(text: str, name: str) -> str:
    found = re.search(rf'href="(/console/users/[^"]+)">{name}<', text)
    assert found, text
    return found[1]


async def test_an_operator_makes_changes_and_removes_a_user(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open("/console/users")
        made = await anna.send(
            "/console/users", {"name": "bert", "password": PASSWORD, "role": "member", "email": "b@example.org"}
        )
        place = made.headers["location"]
        bert = browser(s)
        assert (await bert.sign_in("bert")).headers["location"] == "/console"
        assert (await bert.open("/console/users")).status_code == 403
        page = await anna.open("/console/users?search=example.org&role=member&sort=name&order=down")
        assert address_of(page.text, "bert") == place
        assert "anna" not in page.text.partition("<tbody>")[2].partition("</tbody>")[0]
        for fields, seen in (
            ({"do": "role", "role": "viewer"}, "Viewer"),
            ({"do": "disable"}, "Disabled"),
            ({"do": "enable"}, "Active"),
            ({"do": "password", "password": OTHER}, "Active"),
            ({"do": "second-factor"}, "Active"),
            ({"do": "sign-out"}, "Active"),
        ):
            await anna.open(place)
            assert (await anna.send(place, fields)).headers["location"] == place
            shown = await anna.open(place)
            assert notice(shown) == "bert was changed."
            assert seen in shown.text
        assert (await bert.open("/console/me")).status_code == 303, "his sign-in has ended"
        assert (await bert.sign_in("bert")).status_code == 401
        assert (await bert.sign_in("bert", OTHER)).status_code == 303
        await anna.open(place)
        assert (await anna.send(place, {"do": "remove"})).headers["location"] == "/console/users"
        assert (await anna.open(place)).status_code == 404
        assert (await bert.open("/console/me")).status_code == 303


async def test_the_last_operator_stays_and_is_told_why(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        place = address_of((await anna.open("/console/users")).text, "anna")
        await anna.open(place)
        for fields in ({"do": "disable"}, {"do": "role", "role": "member"}, {"do": "remove"}):
            answer = await anna.send(place, fields)
            assert answer.status_code == 400
            assert "last operator" in notice(answer)
        for fields in ({"do": "nothing"}, {"do": "role", "role": "king"}):
            assert (await anna.send(place, fields)).status_code == 400
        assert (await anna.open("/console/users")).status_code == 200


async def test_another_password_and_removal_need_ones_own_again(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open("/console/users")
        made = await anna.send("/console/users", {"name": "bert", "password": PASSWORD, "role": "member"})
        place = made.headers["location"]
        people = s.gateway.people
        await let_confirmation_end(s)
        await anna.open(place)
        for do in ("password", "remove", "second-factor", "role"):
            answer = await anna.send(place, {"do": do, "password": OTHER, "role": "operator"}, referer=s.url + place)
            assert (answer.status_code, AGAIN in answer.text) == (403, True), do
        assert (await people.user_named("bert")).role == "member"
        assert (await browser(s).sign_in("bert")).status_code == 303, "the password is as it was"


async def test_who_makes_an_operator_gives_the_password_again_and_loses_nothing_of_the_form(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await let_confirmation_end(s)
        await anna.open("/console/users")
        fields = {"name": "bert", "password": OTHER, "role": "operator", "email": "bert@example.org"}
        asked = await anna.send("/console/users", fields)
        assert 'action="/console/users"' in asked.text
        assert await s.gateway.people.user_named("bert") is None
        held = kept_fields(asked)
        assert held == {name: [value] for name, value in fields.items()}
        wrong = await anna.send("/console/users", {**held, AGAIN: "not mine"})
        assert (wrong.status_code, kept_fields(wrong)) == (401, held)
        assert notice(wrong) == "The password is not right", "no name was asked for"
        assert await s.gateway.people.user_named("bert") is None
        assert (await anna.send("/console/users", {**held, AGAIN: PASSWORD})).status_code == 303
        assert (await s.gateway.people.user_named("bert")).role == "operator"
        assert (await browser(s).sign_in("bert", OTHER)).status_code == 303
        await let_confirmation_end(s)
        await anna.open("/console/invitations")
        asked = await anna.send("/console/invitations", {"role": "operator", "email": ""})
        assert AGAIN in asked.text
        assert "/console/invitation/" not in asked.text
        assert "/console/invitation/" in (await anna.send("/console/invitations", {"role": "member"})).text
        made = await anna.send("/console/invitations", {**kept_fields(asked), AGAIN: PASSWORD})
        assert "/console/invitation/" in made.text


async def test_an_invitation_is_shown_once_and_makes_a_user(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open("/console/invitations")
        made = await anna.send("/console/invitations", {"role": "viewer", "email": "b@example.org"})
        found = re.search(r"/console/invitation/[\w-]+", made.text)
        assert found
        assert f"{s.url}{found[0]}" in made.text
        later = await anna.open("/console/invitations")
        assert found[0] not in later.text
        assert "b@example.org" in later.text
        bert = browser(s)
        await bert.open(found[0])
        taken = await bert.send(found[0], {"name": "bert", "password": PASSWORD, "again": PASSWORD})
        assert taken.status_code == 303
        assert "Accepted" in (await anna.open("/console/invitations")).text
        await anna.send("/console/invitations", {"role": "viewer"})
        page = await anna.open("/console/invitations")
        (number,) = re.findall(r'name="invitation" value="([^"]+)"', page.text)
        assert (await anna.send("/console/invitations/remove", {"invitation": number})).status_code == 303
        assert notice(await anna.open("/console/invitations")) == "The invitation was taken back."


async def test_the_audit_log_tells_who_did_what_from_where(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open("/console/users")
        await anna.send("/console/users", {"name": "bert", "password": PASSWORD, "role": "member"})
        await browser(s).sign_in("bert", "a wrong pass phrase")
        page = await anna.open("/console/audit?action=user&sort=at&order=up")
        rows = page.text.partition("<tbody>")[2].partition("</tbody>")[0]
        assert rows.index("user.set-up") < rows.index("user.create")
        assert "127.0.0.1" in rows
        assert "Role: <span>Member</span>" in rows
        assert "sign-in.fail" not in rows
        assert "sign-in.fail" in (await anna.open("/console/audit?search=bert")).text
        small = await anna.open("/console/audit?size=1")
        assert 'rel="next"' in small.text
        member = browser(s)
        await member.sign_in("bert")
        assert (await member.open("/console/audit")).status_code == 403


async def test_a_script_in_whatever_a_stranger_can_set_is_shown_as_text(stack):
    async with stack() as s:
        anna = browser(s)
        await anna.set_up()
        evil = browser(s, **{"user-agent": SCRIPT, "x-forwarded-for": SCRIPT})
        await evil.sign_in(SCRIPT)
        await evil.sign_in("anna")
        await evil.open("/console/me")
        await evil.send("/console/me/name", {"display": SCRIPT})
        place = address_of((await anna.open("/console/users")).text, "anna")
        for path in (place, "/console/me", "/console/users", f"/console/users?search={SCRIPT}&role={SCRIPT}",
                     f"/console/audit?actor={SCRIPT}&sort={SCRIPT}&action={SCRIPT}", "/console/audit",
                     f"/console/invitations?role={SCRIPT}"):  # fmt: skip
            text = (await anna.open(path)).text
            assert SCRIPT not in text, path
            if path in (place, "/console/me"):
                assert SCRIPT in unescape(text)


async def test_who_asks_is_let_in_by_an_operator(stack):
    async with stack(users={"registration": "approval"}) as s:
        anna, bert = browser(s), browser(s)
        await anna.set_up()
        assert "/console/ask" in (await bert.open("/console/sign-in")).text
        await bert.open("/console/ask")
        wrong = await bert.send("/console/ask", {"name": "a b", "password": PASSWORD, "again": PASSWORD})
        assert wrong.status_code == 400
        asked = await bert.send("/console/ask", {"name": "bert", "password": PASSWORD, "again": PASSWORD})
        assert asked.headers["location"] == "/console/sign-in"
        assert notice(await bert.open("/console/sign-in")).startswith("You have asked.")
        assert (await bert.sign_in("bert")).status_code == 401
        place = address_of((await anna.open("/console/users?state=waiting")).text, "bert")
        await anna.open(place)
        await anna.send(place, {"do": "approve"})
        assert notice(await anna.open(place)) == "bert was changed."
        await anna.send(place, {"do": "approve"})
        assert notice(await anna.open(place)) == "bert was so already: nothing was changed."
        assert (await bert.sign_in("bert")).status_code == 303
    async with stack() as s:
        assert (await browser(s).open("/console/ask")).status_code == 404


async def test_a_user_is_renamed_and_stays_signed_in(stack):
    async with stack() as s:
        anna, ben = browser(s), browser(s)
        await anna.set_up()
        user = await s.gateway.people.create_user(COMMAND_LINE, "ben", PASSWORD, Role.MEMBER)
        await ben.sign_in("ben")
        place = f"/console/users/{user.id}"
        await anna.open(place)
        for taken in ("anna", "", "<b>"):
            refused = await anna.send(place, {"do": "name", "name": taken, "display": "x"})
            assert refused.status_code == 400, taken
        assert (await anna.send(place, {"do": "name", "name": "Benny", "display": "Ben Ny"})).status_code == 303
        after = await s.gateway.people.user(user.id)
        assert (after.name, after.display, after.version) == ("benny", "Ben Ny", user.version)
        assert "Ben Ny" in (await ben.open("/console/me")).text


async def test_what_was_entered_of_a_person_stays_where_it_is_refused_and_no_password_does(stack):
    async with stack(users={"registration": "invitation"}) as s:
        anna = browser(s)
        await anna.set_up()
        await anna.open("/console/users")
        fields = {"name": "a b", "password": "never shown again", "role": "viewer", "email": "bert@example.org"}
        refused = await anna.send("/console/users", fields)
        assert refused.status_code == 400
        assert 'value="a b"' in refused.text
        assert '<option value="viewer" selected>' in refused.text
        assert 'value="bert@example.org"' in refused.text
        assert "never shown again" not in refused.text
        await anna.send("/console/users", {"name": "bert", "password": OTHER, "role": "member"})
        place = address_of((await anna.open("/console/users")).text, "bert")
        refused = await anna.send(place, {"do": "name", "name": "c d", "display": "Cee"})
        assert (refused.status_code, 'value="c d"' in refused.text, 'value="Cee"' in refused.text) == (400, True, True)
        refused = await anna.send("/console/me/name", {"display": "x" * 129})
        assert (refused.status_code, "x" * 129 in refused.text) == (400, True)
        refused = await anna.send("/console/invitations", {"role": "viewer", "email": "e" * 321})
        assert (refused.status_code, "e" * 321 in refused.text) == (400, True)
        assert '<option value="viewer" selected>' in refused.text
