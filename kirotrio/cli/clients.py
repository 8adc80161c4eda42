"""The clients that `kirotrio launch` starts: what each one has to be told so that it asks this gateway.

An entry says two things: variables and arguments. The key is always in a variable, because arguments can be read by
every user of the machine. Nothing here was guessed: each entry was tried with the version that its comment names,
against the client's own documentation.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import field

from kirotrio.classes import frozen

KEY_VARIABLE: Final = "KT_CLIENT_KEY"
"""For clients that let the name of the key's variable be chosen, so that it meets no key of another service."""


@frozen
class ListedModel:
    """What a gateway says of one model. Windows are tokens, None where unknown.

    `alias_of`: the model's own id, where `id` is another spelling that the gateway takes and does not list.
    """

    id: str
    name: str = ""
    context_window: int | None = None
    max_output: int | None = None
    alias_of: str = ""


@frozen
class Target:
    """The gateway as one client is to use it. `root` is its address without /v1, with /cc in the buffered mode."""

    root: str
    key: str = field(repr=False)
    model: str
    models: Sequence[ListedModel] = ()

    @property
    def v1(self) -> str:
        return f"{self.root}/v1"

    def listed(self, id: str) -> ListedModel:
        return next((model for model in self.models if model.id == id), ListedModel(id))


Variables = Callable[[Target], Mapping[str, str]]
Arguments = Callable[[Target], Sequence[str]]


@frozen
class Client:
    """One client.

    `key` is the variable with the gateway's key, written as `written_key` says; `variables` has the others. `cleared`
    are variables that would win over them. `arguments` come before the person's own, which win. `firm` are more of
    them that hold the client here against its own settings file; they contain double quotes, which not every shell
    passes on.
    """

    name: str
    title: str
    program: str
    api: str
    install: str
    key: str
    variables: Variables = lambda _: {}
    cleared: Sequence[str] = ()
    arguments: Arguments = lambda _: ()
    firm: Arguments = lambda _: ()
    written_key: Callable[[str], str] = str


# Claude Code 2.1.329; its own documentation: LLM gateways, model configuration, settings. With an API key in the
# environment as well it sends both. The `env` of its settings.json beats the environment, and --settings beats that.
def _claude_variables(target: Target) -> dict[str, str]:
    variables = {
        "ANTHROPIC_BASE_URL": target.root,
        "ANTHROPIC_MODEL": target.model,
        "CLAUDE_CODE_ENABLE_GATEWAY_MODEL_DISCOVERY": "1",
    }
    # What it calls opus, sonnet and haiku is the newest of each on Anthropic's side, which this account may not have.
    for family in ("opus", "sonnet", "haiku"):
        if newest := newest_of(f"claude-{family}", target.models):
            variables[f"ANTHROPIC_DEFAULT_{family.upper()}_MODEL"] = newest
    return variables


def _claude_settings(target: Target) -> tuple[str, ...]:
    held = {"ANTHROPIC_BASE_URL": target.root, "ANTHROPIC_MODEL": target.model}
    return ("--settings", json.dumps({"env": held}, separators=(",", ":")))


# Codex 0.169.0; its own documentation: configuration reference. `-c` takes TOML, and anything else as a plain string;
# it knows the windows of OpenAI's models only.
def _codex_arguments(target: Target) -> tuple[str, ...]:
    settings: dict[str, str | int] = {
        "model_provider": "kirotrio",
        "model_providers.kirotrio.name": "kirotrio",
        "model_providers.kirotrio.base_url": target.v1,
        "model_providers.kirotrio.env_key": KEY_VARIABLE,
        "model_providers.kirotrio.wire_api": "responses",
        "model": target.model,
    }
    if window := target.listed(target.model).context_window:
        settings["model_context_window"] = window
    return tuple(word for name, value in settings.items() for word in ("-c", f"{name}={_toml(value)}"))


def _toml(value: str | int) -> str:
    """A value of `-c`: bare where it cannot be read as anything but a string, since quotes suffer in some shells."""
    if isinstance(value, int):
        return str(value)
    try:
        tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return value
    return json.dumps(value)


# OpenCode 1.18.33; its own documentation: config (OPENCODE_CONFIG_CONTENT is merged last, {env:NAME} is replaced),
# providers. A window counts only together with a largest answer. What {env:NAME} stands for is pasted into the JSON's
# text as it is, so that the key has to be what stands between the quotes of a JSON string.
def _opencode_variables(target: Target) -> dict[str, str]:
    chosen = () if any(model.id == target.model for model in target.models) else (ListedModel(target.model),)
    models = [*target.models, *chosen]
    config = {
        "provider": {
            "kirotrio": {
                "npm": "@ai-sdk/anthropic",
                "name": "kirotrio",
                "options": {"baseURL": target.v1, "apiKey": f"{{env:{KEY_VARIABLE}}}"},
                "models": {model.id: _opencode_model(model) for model in models},
            }
        },
        "model": f"kirotrio/{target.model}",
        "small_model": f"kirotrio/{newest_of('claude-haiku', target.models) or target.model}",
    }
    return {"OPENCODE_CONFIG_CONTENT": json.dumps(config, separators=(",", ":"))}


def _opencode_model(model: ListedModel) -> dict[str, object]:
    described: dict[str, object] = {"name": model.name or model.id}
    if model.context_window and model.max_output:
        described["limit"] = {"context": model.context_window, "output": model.max_output}
    return described


# GitHub Copilot CLI 1.0.102; `copilot help providers`. A bearer token, and a command that prints keys, beat the key.
def _copilot_variables(target: Target) -> dict[str, str]:
    variables = {
        "COPILOT_PROVIDER_TYPE": "anthropic",
        "COPILOT_PROVIDER_BASE_URL": target.root,
        "COPILOT_MODEL": target.model,
    }
    model = target.listed(target.model)
    if model.context_window:
        variables["COPILOT_PROVIDER_MAX_PROMPT_TOKENS"] = str(model.context_window)
    if model.max_output:
        variables["COPILOT_PROVIDER_MAX_OUTPUT_TOKENS"] = str(model.max_output)
    return variables


CLIENTS: Final[Mapping[str, Client]] = {
    client.name: client
    for client in (
        Client(
            name="claude",
            title="Claude Code",
            program="claude",
            api="Anthropic Messages",
            install="npm install -g @anthropic-ai/claude-code",
            key="ANTHROPIC_AUTH_TOKEN",
            variables=_claude_variables,
            cleared=(
                "ANTHROPIC_API_KEY",
                "ANTHROPIC_SMALL_FAST_MODEL",
                "CLAUDE_CODE_USE_BEDROCK",
                "CLAUDE_CODE_USE_FOUNDRY",
                "CLAUDE_CODE_USE_VERTEX",
            ),
            firm=_claude_settings,
        ),
        Client(
            name="codex",
            title="Codex",
            program="codex",
            api="OpenAI Responses",
            install="npm install -g @openai/codex",
            key=KEY_VARIABLE,
            arguments=_codex_arguments,
        ),
        Client(
            name="opencode",
            title="OpenCode",
            program="opencode",
            api="Anthropic Messages",
            install="npm install -g opencode-ai",
            key=KEY_VARIABLE,
            variables=_opencode_variables,
            written_key=lambda key: json.dumps(key)[1:-1],
        ),
        # Aider 0.86.2; its own documentation: OpenAI compatible APIs, options reference. An .env file in the project
        # beats variables, so the address is an argument.
        Client(
            name="aider",
            title="Aider",
            program="aider",
            api="OpenAI Chat Completions",
            install="pipx install aider-chat",
            key="OPENAI_API_KEY",
            arguments=lambda target: ("--model", f"openai/{target.model}", "--openai-api-base", target.v1),
        ),
        # Qwen Code 0.24.4; its own documentation: authentication, configuration. The kind of sign-in and the model
        # of its settings.json beat variables, so both are arguments.
        Client(
            name="qwen",
            title="Qwen Code",
            program="qwen",
            api="OpenAI Chat Completions",
            install="npm install -g @qwen-code/qwen-code",
            key="OPENAI_API_KEY",
            variables=lambda target: {"OPENAI_BASE_URL": target.v1, "OPENAI_MODEL": target.model},
            arguments=lambda target: ("--auth-type", "openai", "--model", target.model),
        ),
        Client(
            name="copilot",
            title="GitHub Copilot CLI",
            program="copilot",
            api="Anthropic Messages",
            install="npm install -g @github/copilot",
            key="COPILOT_PROVIDER_API_KEY",
            variables=_copilot_variables,
            cleared=("COPILOT_PROVIDER_API_KEY_COMMAND", "COPILOT_PROVIDER_BEARER_TOKEN"),
        ),
    )
}


def newest_of(family: str, models: Sequence[ListedModel]) -> str:
    """The model of this family with the highest version; "" where there is none. Other spellings do not count: a
    date in one is no version."""
    fitting = [model.id for model in models if model.id.startswith(family) and not model.alias_of]
    return max(fitting, key=_version, default="")


def _version(id: str) -> tuple[list[int], str]:
    return [int(number) for number in re.findall(r"\d+", id)], id
