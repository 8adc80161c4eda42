"""Options of settings beside a verb's own parameters."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from kirotrio.cli.options import with_settings
from kirotrio.config import LoadedSettings


@pytest.fixture
def verb(home: Path) -> click.Command:
    """A verb whose own `--region` is called like the settings' one, which it did not ask for."""

    @click.command()
    @with_settings("data_dir", "proxy_url")
    @click.option("--region")
    @click.option("--port", type=int)
    def verb(loaded: LoadedSettings, region: str | None, port: int | None) -> int:
        settings = loaded.settings
        click.echo(f"own: {region} {port}")
        click.echo(f"settings: {settings.upstream.region} {settings.server.port} {settings.upstream.proxy_url}")
        return 0

    return verb


def test_a_parameter_called_like_a_setting_s_option_is_the_verb_s_own(verb: click.Command) -> None:
    done = CliRunner().invoke(verb, ["--region", "eu-west-3", "--port", "9", "--proxy-url", "http://box:1"])
    assert done.stdout.splitlines() == ["own: eu-west-3 9", "settings: us-east-1 8000 http://box:1"]


def test_set_reaches_what_has_no_option_here(verb: click.Command) -> None:
    done = CliRunner().invoke(verb, ["--set", "upstream.region=eu-west-3"])
    assert done.stdout.splitlines() == ["own: None None", "settings: eu-west-3 8000 "]
