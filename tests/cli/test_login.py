"""`kirotrio login` in this process: the sign-in itself is a value, and what becomes of it is looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import click
import orjson
import pytest
from click.testing import Result

from kirotrio.accounts.credential import BUILDER_ID_START_URL, Credential, Oidc, Social
from kirotrio.accounts.profiles import Profile
from kirotrio.accounts.records import record_of
from kirotrio.accounts.sign_in import Prompt, SignedIn, SignInFailed, SignInPlan
from kirotrio.accounts.sign_in.polling import denied, expired
from kirotrio.cli import sign_in_prompt
from kirotrio.cli.person import whoever_calls
from kirotrio.cli.stores import Stores, with_store
from kirotrio.cli.terminal import printable
from kirotrio.config import Folders, load_settings
from kirotrio.errors import DeadlineExceeded, Recovery, UpstreamFailed
from kirotrio.store import accounts as rows
from kirotrio.store.account_record import AccountRecord
from kirotrio.store.audit_rows import entries
from kirotrio.store.listing import Listing

Run = Callable[..., Result]
START_URL = "https://d-1234567890.awsapps.com/start"
ARNS = [f"arn:aws:codewhisperer:us-east-1:111111111111:profile/{name}" for name in ("ONE", "TWO", "GONE")]
OFFERED = [Profile(arn) for arn in ARNS[:2]]
USAGE = Path(__file__).parents[1] / "data/kiro/usage_limits_pro_management.json"


@attrs.define
class SignIns:
    """What a sign-in brings from now on, and the plans of those that were made."""

    brings: Callable[[Prompt], Any]
    plans: list[SignInPlan]


@pytest.fixture
def sign_ins(monkeypatch: pytest.MonkeyPatch) -> SignIns:
    made = SignIns(lambda prompt: SignedIn(google("new")), [])

    async def sign_in(plan: SignInPlan, prompt: Prompt, *_: Any, **__: Any) -> SignedIn:
        made.plans.append(plan)
        brought = made.brings(prompt)
        return brought if isinstance(brought, SignedIn) else await brought

    monkeypatch.setattr("kirotrio.accounts.sign_in.sign_in", sign_in)
    return made


@pytest.fixture
def stores(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    monkeypatch.setenv("KIROTRIO_DATA_DIR", str(home / "data"))
    monkeypatch.setenv("KIROTRIO_STORE_KEY_SOURCE", "file")
    overrides = {"data.dir": home / "data", "store.key_source": "file"}
    with with_store(load_settings(overrides=overrides, environ={}, folders=Folders())) as opened:
        yield opened


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits at the terminal: what is asked is answered from standard input."""
    for module in ("login", "sign_in_prompt"):
        monkeypatch.setattr(f"kirotrio.cli.{module}.can_ask", lambda: True)


def google(token: str, **changes: Any) -> Social:
    return Social(refresh_token=token, **{"provider": "Google", **changes})


def company(token: str, arn: str = "") -> Oidc:
    return _oidc(token, provider="Enterprise", start_url=START_URL, profile_arn=arn)


def _oidc(token: str, **changes: Any) -> Oidc:
    return Oidc(refresh_token=token, client_id="c", client_secret="s", **changes)


def kept(stores: Stores, name: str, credential: Credential, **changes: Any) -> AccountRecord:
    record = attrs.evolve(record_of(name, credential), **changes)
    return stores.writing(lambda connection: rows.add(connection, stores.vault, record))


def there(stores: Stores) -> dict[str, tuple[str, str]]:
    """The token and profile of each account."""
    return {record.name: (record.secrets.refresh_token, record.profile_arn) for record in stores.accounts()}


def asks_for_a_profile(prompt: Prompt) -> Any:
    async def chosen() -> SignedIn:
        arn = (await prompt.choose_profile(OFFERED)).arn
        return SignedIn(company("new", arn), profile_arn=arn, email="me@x")

    return chosen()


# -- profiles ----------------------------------------------------------------------------------------------------------


def test_off_a_terminal_an_account_keeps_the_profile_that_it_has(run: Run, stores: Stores, sign_ins: SignIns) -> None:
    kept(stores, "work", company("old"), profile_arn=ARNS[1])
    sign_ins.brings = asks_for_a_profile
    done = run("login", "--again", "work")
    assert done.exit_code == 0, done.output
    assert there(stores) == {"work": ("new", ARNS[1])}
    assert run("login", "--again", "work", "--profile", ARNS[0]).exit_code == 0
    assert there(stores) == {"work": ("new", ARNS[0])}


def test_a_profile_that_is_gone_does_not_cost_the_new_sign_in(run: Run, stores: Stores, sign_ins: SignIns) -> None:
    kept(stores, "work", company("old"), profile_arn=ARNS[2])
    sign_ins.brings = asks_for_a_profile
    done = run("login", "--again", "work")
    assert done.exit_code == 1
    for words in (ARNS[2], ", ".join(ARNS[:2]), "work is signed in anew", "login --again work --profile"):
        assert words in done.stderr
    assert there(stores) == {"work": ("new", ARNS[2])}


def test_a_new_account_has_to_be_told_its_profile(run: Run, stores: Stores, sign_ins: SignIns) -> None:
    sign_ins.brings = asks_for_a_profile
    for options, words in (((), "several profiles"), (("--profile", ARNS[2]), f"no profile {ARNS[2]}")):
        done = run("login", "identity-center", "--start-url", START_URL, *options)
        assert (done.exit_code, there(stores)) == (1, {})
        assert words in done.stderr
        assert "--profile" in done.stderr


@pytest.mark.parametrize(("before", "default"), [(ARNS[1], 2), (ARNS[2], 1), ("", 1)])
async def test_a_person_is_asked_with_the_old_profile_as_the_default(
    before: str, default: int, person: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[int] = []

    async def choose(question: str, names: list[str], told: Sequence[str], number: int) -> str:
        asked.append(number)
        assert names == ARNS[:2]
        return names[number - 1]

    monkeypatch.setattr(sign_in_prompt, "choose_meanwhile", choose)
    with sign_in_prompt.TerminalPrompt(before=before) as prompt:
        prompt.code("CODE", "https://a.b/c", "", 600)
        assert (await prompt.choose_profile(OFFERED)).arn == ARNS[default - 1]
        assert asked == [default]
        assert "confirm" not in str(prompt._waiting._shown().text), "it was confirmed long ago"
    assert (f"no profile {before}" in capsys.readouterr().out) is (before == ARNS[2])


def test_another_profile_than_before_is_told(run: Run, stores: Stores, sign_ins: SignIns) -> None:
    kept(stores, "work", company("old"), profile_arn=ARNS[2])
    sign_ins.brings = lambda _: SignedIn(company("new", ARNS[0]), profile_arn=ARNS[0])
    done = run("login", "--again", "work")
    assert (done.exit_code, there(stores)) == (0, {"work": ("new", ARNS[0])})
    assert f"Its profile is {ARNS[0]} now; it was {ARNS[2]}." in done.stdout
    wrong = run("login", "--again", "work", "--profile", ARNS[1])
    assert wrong.exit_code == 1
    assert f"no profile {ARNS[1]}, only {ARNS[0]}" in wrong.stderr


def test_a_profile_that_was_named_is_kept_where_none_can_be_looked_up(
    run: Run, stores: Stores, sign_ins: SignIns
) -> None:
    sign_ins.brings = lambda _: SignedIn(company("new"))
    done = run("login", "identity-center", "--start-url", START_URL, "--profile", ARNS[0], "--name", "work")
    assert (done.exit_code, there(stores)) == (0, {"work": ("new", ARNS[0])})


# -- whose sign-in it is -----------------------------------------------------------------------------------------------


def test_an_account_is_not_signed_in_anew_as_another_kind(run: Run, stores: Stores, sign_ins: SignIns) -> None:
    kept(stores, "work", _oidc("old", start_url=BUILDER_ID_START_URL))
    kept(stores, "home", google("other"))
    for words, right in [
        (("social", "--provider", "google", "--again", "work"), ("work is an account of another kind (builder-id)",)),
        (("social", "--provider", "github", "--again", "home"), ("(Google)", "`kirotrio login --again home`")),
        (("api-key", "--again", "home"), ("(social)", "`kirotrio login api-key` adds this one")),
    ]:
        done = run("login", *words)
        assert done.exit_code == 1
        assert all(said in done.stderr for said in right), done.stderr
    assert not sign_ins.plans, "nobody signs in for nothing"


def test_a_sign_in_of_another_account_is_refused_with_its_name(run: Run, stores: Stores, sign_ins: SignIns) -> None:
    kept(stores, "work", google("t1"), email="me@x", user_id="me")
    kept(stores, "home", google("t2"), email="you@x", user_id="you")
    before = there(stores)
    sign_ins.brings = lambda _: SignedIn(google("new"), email="you@x", user_id="you")
    done = run("login", "--again", "work")
    assert done.exit_code == 1
    assert "the account home already, not work (social, Google, me@x)" in done.stderr
    assert "`kirotrio login --again home`" in done.stderr
    assert there(stores) == before


@pytest.mark.parametrize(
    ("whose", "answer", "after"),
    [
        ("you", "n\n", {"work": "t1", "home": "t2"}),
        ("you", "y\n", {"work": "t1", "home": "new"}),
        ("else", "\n", {"work": "t1", "home": "t2"}),
        ("else", "y\n", {"work": "t1", "home": "t2", "else": "new"}),
    ],
)
def test_a_person_is_asked_where_another_sign_in_is_to_go(
    whose: str, answer: str, after: dict[str, str], run: Run, stores: Stores, sign_ins: SignIns, person: None
) -> None:
    work = kept(stores, "work", google("t1"), email="me@x", user_id="me")
    kept(stores, "home", google("t2"), email="you@x", user_id="you")
    secrets = attrs.evolve(work.secrets, proxy_url="http://proxy.example.com:1")
    stores.writing(lambda connection: rows.update(connection, stores.vault, work.id, secrets=secrets))
    sign_ins.brings = lambda _: SignedIn(google("new"), email=f"{whose}@x", user_id=whose)
    done = run("login", "--again", "work", stdin=answer.encode())
    question = "Sign in home anew?" if whose == "you" else "Keep it as another account (else)?"
    assert question in done.stdout
    assert done.exit_code == (0 if "y" in answer else 1)
    accounts = {record.name: record for record in stores.accounts()}
    assert {name: record.secrets.refresh_token for name, record in accounts.items()} == after
    assert accounts["home"].secrets.proxy_url == "", "another account's proxy is its own"
    assert "else" not in accounts or accounts["else"].secrets.proxy_url, "what was behind a proxy stays behind it"


def test_a_name_does_not_go_with_an_account_that_has_one(run: Run, stores: Stores, sign_ins: SignIns) -> None:
    kept(stores, "work", google("t1"))
    done = run("login", "--again", "work", "--name", "other")
    assert done.exit_code == 2
    assert "kirotrio accounts rename work other" in done.stderr
    assert not sign_ins.plans


# -- what is kept and told ---------------------------------------------------------------------------------------------


def test_the_plan_that_the_sign_in_has_seen_is_in_the_list(run: Run, stores: Stores, sign_ins: SignIns) -> None:
    document = {"source": "limits", "answer": orjson.loads(USAGE.read_bytes()), "user": None}
    sign_ins.brings = lambda _: SignedIn(google("new"), email="me@x", usage=document, usage_at=1_800_000_000.0)
    assert run("login", "social", "--provider", "google").exit_code == 0
    (account,) = orjson.loads(run("accounts", "--json").stdout)
    assert account["plan"] == "Kiro Pro"


@pytest.mark.parametrize("failure", [denied(), expired(), SignInFailed("It went wrong.", "refused")])
def test_the_way_on_is_the_same_command_once_more(
    failure: SignInFailed, run: Run, stores: Stores, sign_ins: SignIns
) -> None:
    def fail(_: Prompt) -> SignedIn:
        raise failure

    kept(stores, "home", google("t1"))
    sign_ins.brings = fail
    for words, right in [
        (("builder-id",), "login builder-id`"),
        (("--again", "home", "--device"), "login social --again home --device`"),
        (("social", "--provider", "github", "--name", "x"), "login social --provider github --name x`"),
        (("builder-id", "--proxy", "http://u:secret@h:1"), "login builder-id --proxy URL`"),
    ]:
        done = run("login", *words)
        assert done.exit_code == 1
        assert done.stderr.count(right) == 1, done.stderr
        assert len(re.findall(r"login", done.stderr)) == 1, "there is one command, and no bare one beside it"


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (
            UpstreamFailed("could not connect to a.b: all attempts failed", recovery=Recovery.RETRY),
            "upstream.proxy_url",
        ),
        (DeadlineExceeded("a.b did not answer within 30 seconds", recovery=Recovery.RETRY), "doctor"),
        (UpstreamFailed("The service cannot give a client (500)", upstream_status=500), "wait a while"),
    ],
)
def test_a_service_that_is_not_there_is_told_with_what_to_do(
    failure: Exception, words: str, run: Run, stores: Stores, sign_ins: SignIns
) -> None:
    def fail(_: Prompt) -> SignedIn:
        raise failure

    sign_ins.brings = fail
    done = run("login", "builder-id")
    assert done.exit_code == 1
    assert words in done.stderr
    assert "login builder-id`" in done.stderr
    assert ("doctor" in done.stderr) is (words != "wait a while")


@pytest.mark.parametrize("error", [KeyboardInterrupt, click.Abort])
def test_who_stops_it_reads_that_nothing_was_kept(
    error: type[BaseException], run: Run, stores: Stores, sign_ins: SignIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> Any:
        raise error

    sign_ins.brings = stop
    done = run("login", "builder-id")
    assert (done.exit_code, done.stderr) == (130, "Stopped; nothing was kept.\n")
    monkeypatch.setattr("kirotrio.cli.login.can_ask", lambda: True)
    monkeypatch.setattr("kirotrio.cli.login.choose", stop)
    done = run("login")
    assert (done.exit_code, done.stderr) == (130, "Stopped; nothing was kept.\n")


def test_providers_are_written_as_they_write_themselves(
    run: Run, stores: Stores, sign_ins: SignIns, person: None
) -> None:
    done = run("login", "social", stdin=b"2\n")
    assert "GitHub" in done.stdout
    assert "Github" not in done.stdout
    assert sign_ins.plans[0].provider == "github"


def test_what_others_say_cannot_move_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("caf\xe9 \x1b]0;x\x07\u202e") == "caf\xe9 \\x1b]0;x\\x07\\u202e"
    with sign_in_prompt.TerminalPrompt() as prompt:
        prompt.code("A\x1b[2J", "https://a.b/\x1b]8;;c\x07", "", 600)
        prompt.waiting("\x1b[1mlate")
    assert "\x1b" not in capsys.readouterr().out


# -- the audit log -----------------------------------------------------------------------------------------------------


def test_a_sign_in_is_in_the_audit_log(run: Run, stores: Stores, sign_ins: SignIns) -> None:
    kept(stores, "work", google("old"), email="me@x")
    sign_ins.brings = lambda _: SignedIn(google("a secret"), email="you@x")
    assert run("login", "social", "--provider", "google", "--name", "home").exit_code == 0
    sign_ins.brings = lambda _: SignedIn(google("another secret"), email="me@x")
    assert run("login", "--again", "work").exit_code == 0
    noted = stores.reading(lambda connection: entries(connection, Listing())).rows
    assert [(entry.action, entry.subject, entry.actor) for entry in noted] == [
        ("account.renew", "work", whoever_calls().name),
        ("account.add", "home", whoever_calls().name),
    ]
    assert "secret" not in str(noted)
