"""Where a setting's value comes from, who wins, and what a person is told when it is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kirotrio.config import Folders, LoadedSettings, Settings, load_settings, platform_folders
from kirotrio.config.names import FORERUNNER, SHORT_FORMS
from kirotrio.config.options import options, value_of
from kirotrio.errors import SettingsError


def load(
    environ: Mapping[str, str] | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    env_file: Path | None = None,
    config_file: Path | None = None,
    folders: Folders | None = None,
) -> LoadedSettings:
    return load_settings(
        overrides=overrides or {},
        environ=environ or {},
        env_file=env_file,
        config_file=config_file,
        folders=folders or Folders(),
    )


def refusal(**sources: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**sources)
    assert "\n" not in caught.value.message, "an error is one sentence"
    return caught.value.message


def attempt(**sources: Any) -> LoadedSettings | str:
    """The settings, or the sentence with which they are refused."""
    try:
        return load(**sources)
    except SettingsError as error:
        return error.message


def test_nothing_given_is_all_default() -> None:
    loaded = load()
    assert loaded.settings == Settings()
    assert set(loaded.origins.values()) == {"default"}
    assert set(loaded.origins) == set(options())
    assert loaded.notices == ()


def test_each_source_beats_the_next(tmp_path: Path) -> None:
    toml = tmp_path / "k.toml"
    toml.write_text("[server]\nport = 1\n")
    env_file = tmp_path / "k.env"
    env_file.write_text("KIROTRIO_SERVER_PORT=2\n")
    environ = {"KIROTRIO_SERVER_PORT": "3"}

    loaded = load(config_file=toml)
    assert (loaded.settings.server.port, loaded.origins["server.port"]) == (1, str(toml))
    assert loaded.config_file == toml
    loaded = load(config_file=toml, env_file=env_file)
    assert loaded.settings.server.port == 2
    assert loaded.origins["server.port"] == f"env file {env_file}: KIROTRIO_SERVER_PORT"
    loaded = load(environ, config_file=toml, env_file=env_file)
    assert (loaded.settings.server.port, loaded.origins["server.port"]) == (3, "environment KIROTRIO_SERVER_PORT")
    loaded = load(environ, config_file=toml, env_file=env_file, overrides={"server.port": 4})
    assert (loaded.settings.server.port, loaded.origins["server.port"]) == (4, "command line")


def test_an_option_that_was_not_given_is_no_value() -> None:
    loaded = load({"KIROTRIO_PORT": "3"}, overrides={"server.port": None})
    assert loaded.settings.server.port == 3


def test_only_the_value_that_counts_is_checked() -> None:
    assert load({"KIROTRIO_PORT": "nonsense"}, overrides={"server.port": "4"}).settings.server.port == 4


@pytest.mark.parametrize("short", SHORT_FORMS)
def test_short_form_is_read(short: str, tmp_path: Path) -> None:
    examples = {
        "server.port": "77",
        "log.level": "error",
        "data.dir": str(tmp_path),
        "server.host": "::1",
        "store.url": "postgresql://box/db",
    }
    value = examples.get(SHORT_FORMS[short], "http://box:1")
    loaded = load({short: value})
    assert str(value_of(loaded.settings, SHORT_FORMS[short])) == value
    assert loaded.origins[SHORT_FORMS[short]] == f"environment {short}"


def test_short_form_yields_to_the_long_one_of_the_same_source() -> None:
    loaded = load({"KIROTRIO_PORT": "1", "KIROTRIO_SERVER_PORT": "2"})
    assert (loaded.settings.server.port, loaded.origins["server.port"]) == (2, "environment KIROTRIO_SERVER_PORT")


EXAMPLES = {
    "region": "eu-central-1",
    "networks": "10.0.0.0/8, fd00::/8",
    "database": "postgresql://me@box:5432/db?sslmode=require",
}
"""A value of each form that is no address of the web."""


def test_every_long_spelling_is_unique_and_works() -> None:
    variables = [option.variable for option in options().values()]
    assert len(set(variables)) == len(variables)
    for option in options().values():
        good = {
            bool: "yes",
            int: str(round(min(max(7, option.least or 0), option.most or 7))),
            float: "7.5",
            Path: "/tmp/x",
            dict: "fast=claude-haiku-4.5",
            str: option.choices[-1] if option.choices else EXAMPLES.get(option.form, "http://box:1"),
        }[option.kind]
        loaded = load({option.variable: good})
        assert loaded.origins[option.name] == f"environment {option.variable}", option.name


def test_an_empty_variable_counts_as_absent() -> None:
    loaded = load({"KIROTRIO_PORT": "", "KIROTRIO_SERVER_HOST": " ", "REFRESH_TOKEN": ""})
    assert loaded.settings == Settings()
    assert loaded.notices == ()


def test_the_platform_file_is_read_and_the_working_folder_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configuration, clone = tmp_path / "configuration", tmp_path / "clone"
    configuration.mkdir()
    clone.mkdir()
    (configuration / "kirotrio.toml").write_text("[server]\nport = 81\n")
    for name in ("kirotrio.toml", "pyproject.toml", ".kirotrio.toml"):
        (clone / name).write_text('[upstream]\nurl = "https://evil.example"\n')
    (clone / ".env").write_text("KIROTRIO_UPSTREAM_URL=https://evil.example\n")
    monkeypatch.chdir(clone)

    loaded = load(folders=Folders(config=configuration))
    assert loaded.settings.server.port == 81
    assert loaded.settings.upstream.url == ""
    assert loaded.config_file == configuration / "kirotrio.toml"


def test_without_a_home_the_platform_names_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise `~` would stay in the path, and the file would be looked for in the working folder."""
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative/config")
    monkeypatch.setenv("XDG_DATA_HOME", "relative/data")
    monkeypatch.chdir(tmp_path)
    assert platform_folders() == Folders(None, None)


def test_the_config_option_replaces_the_platform_file(tmp_path: Path) -> None:
    (tmp_path / "kirotrio.toml").write_text("[server]\nport = 81\n")
    other = tmp_path / "other.toml"
    other.write_text('[log]\nlevel = "debug"\n')
    loaded = load(config_file=other, folders=Folders(config=tmp_path))
    assert loaded.settings.server.port == 8000
    assert loaded.settings.log.level == "debug"


def test_data_folder_is_the_platforms_unless_it_is_set(tmp_path: Path) -> None:
    loaded = load(folders=Folders(data=tmp_path))
    assert (loaded.settings.data.dir, loaded.origins["data.dir"]) == (tmp_path, "default")
    assert load({"KIROTRIO_DATA_DIR": "/x"}, folders=Folders(data=tmp_path)).settings.data.dir == Path("/x")


def test_a_relative_path_in_a_file_starts_at_the_file(tmp_path: Path) -> None:
    toml = tmp_path / "k.toml"
    toml.write_text('[data]\ndir = "kept"\n')
    assert load(config_file=toml).settings.data.dir == tmp_path / "kept"


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load({"KIROTRIO_DATA_DIR": "~/kept"}).settings.data.dir == tmp_path / "kept"


class TestValues:
    @pytest.mark.parametrize(
        ("variable", "value", "wanted"),
        [
            ("KIROTRIO_PORT", "65536", "a whole number from 0 to 65535"),
            ("KIROTRIO_PORT", "-1", "a whole number from 0 to 65535"),
            ("KIROTRIO_PORT", "80.5", "a whole number from 0 to 65535"),
            ("KIROTRIO_PORT", "eighty", "a whole number from 0 to 65535"),
            ("KIROTRIO_PORT", "9" * 50, "a whole number from 0 to 65535"),
            ("KIROTRIO_DEADLINES_CONNECT", "0", "a number of seconds above 0"),
            ("KIROTRIO_DEADLINES_CONNECT", "nan", "a number of seconds above 0"),
            ("KIROTRIO_DEADLINES_CONNECT", "inf", "a number of seconds above 0"),
            ("KIROTRIO_DEADLINES_CONNECT", "10s", "a number of seconds above 0"),
            ("KIROTRIO_SERVER_DRAIN", "-1", "a number of seconds, 0 or more"),
            ("KIROTRIO_SERVER_MAX_BODY", "0", "a whole number of bytes, 1 or more"),
            ("KIROTRIO_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
            ("KIROTRIO_SERVER_JSON_KEEPALIVE", "maybe", "true or false"),
            ("KIROTRIO_UPSTREAM_URL", "box:80", "an address that begins with http:// or https:// and names a host"),
            ("KIROTRIO_UPSTREAM_URL", "http://", "an address that begins with http:// or https:// and names a host"),
            ("KIROTRIO_UPSTREAM_URL", "http://h:99999", "an address that begins"),
            ("KIROTRIO_UPSTREAM_REGION", "x.evil.example/", "the name of a region like us-east-1"),
            ("KIROTRIO_MODELS_ALIAS", "fast", "alias=model pairs"),
            ("KIROTRIO_MODELS_ALIAS", "fast=", "alias=model pairs"),
            ("KIROTRIO_UPSTREAM_ORIGIN", "A\r\nx-evil: 1", "text on one line"),
        ],
    )
    def test_a_wrong_value_is_told_with_setting_origin_and_what_is_right(
        self, variable: str, value: str, wanted: str
    ) -> None:
        message = refusal(environ={variable: value})
        assert f"(environment {variable})" in message
        assert wanted in message
        assert re.match(r"[a-z]+\.[a-z_]+ \(", message), message

    @pytest.mark.parametrize("word", ["true", "TRUE", "yes", "On", "1", "false", "No", "oFF", "0"])
    def test_words_for_yes_and_no(self, word: str) -> None:
        expected = word.lower() in ("true", "yes", "on", "1")
        assert load({"KIROTRIO_THINKING_DEFAULT": word}).settings.thinking.default is expected

    @pytest.mark.parametrize("toml", ["true", "8000.0", '"abc"', "[1]", "{a = 1}", "1979-05-27"])
    def test_toml_types_are_not_bent(self, toml: str, tmp_path: Path) -> None:
        file = tmp_path / "k.toml"
        file.write_text(f"[server]\nport = {toml}\n")
        assert f"server.port ({file})" in refusal(config_file=file)

    def test_toml_whole_number_is_fine_for_a_duration(self, tmp_path: Path) -> None:
        file = tmp_path / "k.toml"
        file.write_text("[server]\ndrain = 5\n")
        assert load(config_file=file).settings.server.drain == 5.0

    def test_toml_number_is_no_text(self, tmp_path: Path) -> None:
        file = tmp_path / "k.toml"
        file.write_text("[server]\napi_key = 12345678901234567890\n")
        message = refusal(config_file=file)
        assert "server.api_key" in message
        assert "1234" not in message

    def test_choices_take_any_case(self) -> None:
        assert load({"KIROTRIO_LOG_LEVEL": "WARNING"}).settings.log.level == "warning"

    def test_alias_table_and_its_form_in_the_environment(self, tmp_path: Path) -> None:
        file = tmp_path / "k.toml"
        file.write_text('[models.alias]\nfast = "claude-haiku-4.5"\n"gpt-5.1" = "claude-opus-4.5"\n')
        assert load(config_file=file).settings.models.alias == {
            "fast": "claude-haiku-4.5",
            "gpt-5.1": "claude-opus-4.5",
        }
        loaded = load({"KIROTRIO_MODELS_ALIAS": "fast=claude-haiku-4.5, big = claude-opus-4.5,"})
        assert loaded.settings.models.alias == {"fast": "claude-haiku-4.5", "big": "claude-opus-4.5"}

    @pytest.mark.parametrize("variable", ["KIROTRIO_UPSTREAM_URL", "KIROTRIO_AUTH_URL", "KIROTRIO_PORTAL_URL"])
    @pytest.mark.parametrize(
        ("address", "surplus"),
        [
            ("https://me:swordfish@box/x", "a user or a password"),
            ("https://swordfish@box", "a user or a password"),
            ("https://me:sword/fish@box", "a user or a password"),
            ("https://box/x?key=swordfish", "a query"),
            ("https://box?", "a query"),
            ("https://box/#swordfish", "a fragment"),
            ("https://me:swordfish@box/x?y#z", "a user or a password and a query and a fragment"),
        ],
    )
    def test_an_address_of_a_service_is_host_port_and_path_alone(
        self, variable: str, address: str, surplus: str
    ) -> None:
        message = refusal(environ={variable: address})
        assert f"an address with {surplus} cannot be used" in message
        assert "a port and a path may follow" in message
        assert "fish" not in message

    def test_the_path_of_such_an_address_stays(self) -> None:
        for address in ("http://box:1/kiro/", "https://[::1]:2/a@b"):
            assert load({"KIROTRIO_UPSTREAM_URL": address}).settings.upstream.url == address

    @given(st.sampled_from([option for option in options().values() if option.secret]), st.text(min_size=6))
    def test_no_refusal_shows_a_secret(self, option: Any, value: str) -> None:
        outcome = attempt(environ={option.variable: value})
        assert isinstance(outcome, LoadedSettings) or value not in outcome

    @given(st.sampled_from(sorted(options())), st.one_of(st.text(), st.integers(), st.floats(), st.booleans()))
    def test_any_value_is_taken_or_refused_in_one_sentence(self, name: str, value: Any) -> None:
        outcome = attempt(overrides={name: value})
        if isinstance(outcome, LoadedSettings):
            assert isinstance(value_of(outcome.settings, name), options()[name].kind)
        else:
            assert outcome.startswith(f"{name} (command line): ")
            assert "must be " in outcome
            assert "\n" not in outcome


class TestToml:
    def write(self, folder: Path, text: str) -> Path:
        file = folder / "k.toml"
        file.write_text(text)
        return file

    def test_syntax_error_says_the_line(self, tmp_path: Path) -> None:
        file = self.write(tmp_path, "[server]\nport = 80\nhost = 127.0.0.1\n")
        message = refusal(config_file=file)
        assert str(file) in message
        assert "line 3" in message

    def test_unknown_setting_suggests_the_near_one(self, tmp_path: Path) -> None:
        message = refusal(config_file=self.write(tmp_path, "[server]\nprot = 80\n"))
        assert "there is no setting server.prot; did you mean server.port?" in message

    def test_unknown_section_suggests_the_near_one(self, tmp_path: Path) -> None:
        assert "did you mean upstream?" in refusal(config_file=self.write(tmp_path, "[upstraem]\nregion = 'x'\n"))

    def test_setting_outside_its_section_says_where_it_belongs(self, tmp_path: Path) -> None:
        assert "port belongs below [server]" in refusal(config_file=self.write(tmp_path, "port = 80\n"))

    def test_section_that_is_a_value(self, tmp_path: Path) -> None:
        assert "server is a section" in refusal(config_file=self.write(tmp_path, "server = 1\n"))

    def test_missing_file_is_a_sentence(self, tmp_path: Path) -> None:
        assert "there is no such file" in refusal(config_file=tmp_path / "none.toml")

    def test_folder_in_place_of_a_file_is_a_sentence(self, tmp_path: Path) -> None:
        assert "cannot be read" in refusal(config_file=tmp_path)

    def test_other_encodings_are_a_sentence_and_a_byte_order_mark_is_fine(self, tmp_path: Path) -> None:
        file = tmp_path / "k.toml"
        file.write_bytes("[server]\nhost = 'ü'\n".encode("latin-1"))
        assert "UTF-8" in refusal(config_file=file)
        file.write_bytes(b"\xef\xbb\xbf[server]\r\nport = 81\r\n")
        assert load(config_file=file).settings.server.port == 81

    @given(st.binary(max_size=200))
    def test_any_file_is_read_or_refused(self, content: bytes) -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "k.toml")
            file.write_bytes(content)
            outcome = attempt(config_file=file)
            assert isinstance(outcome, LoadedSettings) or str(file) in outcome


class TestEnvFile:
    def read(self, folder: Path, text: str) -> LoadedSettings:
        file = folder / "my.env"
        file.write_text(text)
        return load(env_file=file)

    def test_quotes_comments_and_export(self, tmp_path: Path) -> None:
        loaded = self.read(
            tmp_path,
            "# a comment\n\n"
            "export KIROTRIO_HOST=::1 # this machine\n"
            'KIROTRIO_API_KEY="a key#with \\"signs\\" \\\\ C:\\new" # end\n'
            "KIROTRIO_ACCOUNTS_CREDS_FILE='C:\\new #1'\r\n"
            "KIROTRIO_UPSTREAM_USER_AGENT=a#b\n"
            "KIROTRIO_UPSTREAM_ORIGIN=#nothing\n",
        )
        assert loaded.settings.server.host == "::1"
        assert loaded.settings.server.api_key == 'a key#with "signs" \\ C:\\new'
        assert loaded.settings.accounts.creds_file == "C:\\new #1"
        assert loaded.settings.upstream.user_agent == "a#b"
        assert loaded.settings.upstream.origin == Settings().upstream.origin

    @pytest.mark.parametrize("line", ["just words", "=x", "1A=b", 'KIROTRIO_HOST="open', "KIROTRIO_HOST='a' b"])
    def test_a_line_that_is_none_is_told_by_number(self, line: str, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="line 2"):
            self.read(tmp_path, f"A=b\n{line}\n")

    def test_the_refusal_of_a_line_does_not_show_it(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError) as caught:
            self.read(tmp_path, "KIROTRIO_API_KEY='swordfish-swordfish\n")
        assert "swordfish" not in caught.value.message

    def test_missing_file_is_a_sentence(self, tmp_path: Path) -> None:
        assert "there is no such file" in refusal(env_file=tmp_path / "none")


class TestWhoseSignIn:
    """One account, of the strongest source that names one, whatever kinds the others name."""

    def test_the_command_line_beats_the_environment_across_kinds(self) -> None:
        loaded = load(
            {"REFRESH_TOKEN": "from-the-environment", "CLIENT_ID": "c", "CLIENT_SECRET": "s"},
            overrides={"accounts.api_key": "ksk_mine"},
        )
        assert loaded.settings.accounts == attrs.evolve(Settings().accounts, api_key="ksk_mine")
        assert loaded.origins["accounts.refresh_token"] == "default", "`settings` must show what counts"
        (notice,) = loaded.notices
        assert "environment REFRESH_TOKEN: accounts.refresh_token is left out" in notice
        assert "accounts.api_key (command line)" in notice
        assert "from-the-environment" not in notice
        assert "ksk_mine" not in notice

    def test_each_source_beats_the_next(self, tmp_path: Path) -> None:
        toml, env_file = tmp_path / "k.toml", tmp_path / "k.env"
        toml.write_text("[accounts]\nrefresh_token = 'of the file'\n")
        env_file.write_text("KIRO_API_KEY=ksk_of_the_env_file\n")
        accounts = load(config_file=toml, env_file=env_file).settings.accounts
        assert (accounts.refresh_token, accounts.api_key) == ("", "ksk_of_the_env_file")
        accounts = load({"KIRO_CREDS_FILE": "/x"}, config_file=toml, env_file=env_file).settings.accounts
        assert (accounts.refresh_token, accounts.api_key, accounts.creds_file) == ("", "", "/x")

    def test_a_client_goes_with_the_token_beside_it_and_else_with_whichever_answers(self) -> None:
        client = {"CLIENT_ID": "c", "CLIENT_SECRET": "s"}
        token = {"accounts.refresh_token": "mine"}
        assert load({**client, "REFRESH_TOKEN": "other"}, overrides=token).settings.accounts.client_id == ""
        loaded = load(client, overrides=token)
        assert (loaded.settings.accounts.refresh_token, loaded.settings.accounts.client_id) == ("mine", "c")

    def test_kinds_of_one_source_all_stay_and_an_empty_word_names_nobody(self) -> None:
        accounts = load({"REFRESH_TOKEN": "r", "KIRO_API_KEY": "k"}).settings.accounts
        assert (accounts.refresh_token, accounts.api_key) == ("r", "k")
        accounts = load({"KIRO_API_KEY": "k"}, overrides={"accounts.refresh_token": ""}).settings.accounts
        assert accounts.api_key == "k"


class TestForerunner:
    """An environment made for KiroGate keeps working, and says what to write from now on."""

    @pytest.mark.parametrize("variable", FORERUNNER)
    def test_name_is_taken_over_with_a_notice(self, variable: str) -> None:
        name = FORERUNNER[variable]
        value = {
            "PROXY_URL": "http://box:1",
            "KIRO_REGION": "eu-central-1",
            "LOG_LEVEL": "DEBUG",
            "DEBUG_MODE": "all",
        }.get(variable, "123")
        loaded = load({variable: value})
        assert loaded.origins[name] == f"environment {variable}"
        assert value_of(loaded.settings, name) != options()[name].default
        (notice,) = loaded.notices
        assert variable in notice
        assert options()[name].variable in notice

    def test_yields_to_our_own_names_silently(self) -> None:
        loaded = load({"PROXY_API_KEY": "old-old-old-old-old", "KIROTRIO_API_KEY": "new-new-new-new-new"})
        assert loaded.settings.server.api_key == "new-new-new-new-new"
        assert loaded.notices == ()

    @pytest.mark.parametrize(
        ("url", "user", "password", "expected"),
        [
            ("http://box:1", "me", "p@ss:w/rd%", "http://me:p%40ss%3Aw%2Frd%25@box:1"),
            ("box:1", "", "", "http://box:1"),
            ("socks5://box:1", "me", "", "socks5://me@box:1"),
            ("http://old:one@box:1", "me", "x", "http://me:x@box:1"),
            ("http://old:one@box:1", "", "", "http://old:one@box:1"),
        ],
    )
    def test_proxy_credentials_go_percent_encoded_into_the_address(
        self, url: str, user: str, password: str, expected: str
    ) -> None:
        loaded = load({"PROXY_URL": url, "PROXY_USERNAME": user, "PROXY_PASSWORD": password})
        assert loaded.settings.upstream.proxy_url == expected

    def test_user_and_password_of_the_proxy_are_noticed_taken_or_not(self) -> None:
        parts = {"PROXY_USERNAME": "me", "PROXY_PASSWORD": "swordfish"}
        (notice,) = load({"PROXY_URL": "http://box:1", **parts}).notices
        assert "KIROTRIO_UPSTREAM_PROXY_URL, with PROXY_USERNAME and PROXY_PASSWORD inside the address" in notice
        alone = load(parts)
        assert [notice.split(":")[0] for notice in alone.notices] == [f"environment {name}" for name in parts]
        assert all("no effect without PROXY_URL" in notice for notice in alone.notices)
        assert alone.settings.upstream.proxy_url == ""
        *_, half = load({"PROXY_URL": "http://box:1", "PROXY_PASSWORD": "swordfish"}).notices
        assert "PROXY_PASSWORD: has no effect without PROXY_USERNAME" in half
        assert "swordfish" not in f"{notice}{alone.notices}{half}"

    def test_first_token_timeout_never_lowers_the_patience_with_thinking(self, tmp_path: Path) -> None:
        loaded = load({"FIRST_TOKEN_TIMEOUT": "15"})
        assert loaded.settings.deadlines.first_event == 15.0
        assert loaded.settings.deadlines.first_event_thinking == 300.0

        loaded = load({"FIRST_TOKEN_TIMEOUT": "600"})
        assert loaded.settings.deadlines.first_event_thinking == 600.0
        assert loaded.origins["deadlines.first_event_thinking"] == "environment FIRST_TOKEN_TIMEOUT"

        toml = tmp_path / "k.toml"
        toml.write_text("[deadlines]\nfirst_event_thinking = 900\n")
        assert load({"FIRST_TOKEN_TIMEOUT": "600"}, config_file=toml).settings.deadlines.first_event_thinking == 900.0

        loaded = load({"KIROTRIO_DEADLINES_FIRST_EVENT": "600"})
        assert loaded.settings.deadlines.first_event_thinking == 300.0, "our own names mean exactly what they say"

    @pytest.mark.parametrize(
        ("value", "level"), [("TRACE", "debug"), ("success", "info"), ("CRITICAL", "error"), ("Warning", "warning")]
    )
    def test_its_log_levels(self, value: str, level: str) -> None:
        assert load({"LOG_LEVEL": value}).settings.log.level == level

    def test_debug_mode(self) -> None:
        assert load({"DEBUG_MODE": "all"}).settings.log.level == "debug"
        assert load({"DEBUG_MODE": "all", "LOG_LEVEL": "ERROR"}).settings.log.level == "error"
        quiet = load({"DEBUG_MODE": "errors"})
        assert quiet.settings.log.level == "info"
        assert len(quiet.notices) == 1
        assert load({"DEBUG_MODE": "off"}).notices == ()

    def test_a_wrong_value_names_the_variable_that_has_it(self) -> None:
        assert "deadlines.first_event (environment FIRST_TOKEN_TIMEOUT)" in refusal(
            environ={"FIRST_TOKEN_TIMEOUT": "soon"}
        )


class TestNotices:
    def test_unknown_name_of_ours_is_noticed_with_the_near_one(self) -> None:
        (notice,) = load({"KIROTRIO_SERVER_PROT": "1"}).notices
        assert "KIROTRIO_SERVER_PROT" in notice
        assert "did you mean KIROTRIO_SERVER_PORT?" in notice

    def test_a_database_that_is_none_is_refused_without_its_password(self) -> None:
        with pytest.raises(SettingsError) as caught:
            load({"KIROTRIO_DATABASE_URL": "mysql://me:swordfish@box/db"})
        assert "postgresql://" in str(caught.value)
        assert "swordfish" not in str(caught.value)


class TestNoProxy:
    def test_common_variable_is_read_in_both_cases(self) -> None:
        assert load({"NO_PROXY": "a,b"}).settings.upstream.no_proxy == "a,b"
        assert load({"no_proxy": "c"}).settings.upstream.no_proxy == "c"

    def test_anything_said_to_this_program_beats_it(self, tmp_path: Path) -> None:
        toml = tmp_path / "k.toml"
        toml.write_text("[upstream]\nno_proxy = 'ours'\n")
        assert load({"NO_PROXY": "a"}, config_file=toml).settings.upstream.no_proxy == "ours"
        assert load({"NO_PROXY": "a", "KIROTRIO_UPSTREAM_NO_PROXY": "b"}).settings.upstream.no_proxy == "b"


def test_repr_of_settings_has_no_secret() -> None:
    secrets = {option.name: f"swordfish-{option.name}" for option in options().values() if option.secret}
    secrets["upstream.proxy_url"] = "http://me:swordfish@box:1"
    secrets["store.url"] = "postgresql://me:swordfish@box/db"
    loaded = load(overrides=secrets)
    assert "swordfish" not in repr(loaded)
    assert "swordfish" not in str(attrs.fields(Settings)), "defaults hold no secret"


def test_loaded_settings_are_replaced_with_their_origin() -> None:
    loaded = load({"KIROTRIO_PORT": "9"}).replaced({"server.api_key": "k", "log.level": "debug"}, "made up")
    assert loaded.settings.server.api_key == "k"
    assert loaded.settings.server.port == 9
    assert loaded.origins["server.api_key"] == loaded.origins["log.level"] == "made up"
    assert loaded.origins["server.port"] == "environment KIROTRIO_PORT"


@pytest.mark.parametrize("key", ["ksk_cut…here", "ksk_a b", "ksk_a\u00e9"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(SettingsError, match="copied whole") as raised:
        load_settings(overrides={}, environ={"KIRO_API_KEY": key}, folders=Folders())
    assert key not in str(raised.value)
