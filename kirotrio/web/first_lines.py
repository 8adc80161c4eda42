"""The lines that tell a client of a gateway, to be pasted. Pure."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence


def variables(base: str, key: str, model: str) -> dict[str, str]:
    """What Claude Code reads of its environment. `base`: the gateway's address, without a slash at its end."""
    return {"ANTHROPIC_BASE_URL": base, "ANTHROPIC_AUTH_TOKEN": key, "ANTHROPIC_MODEL": model}


def anthropic_lines(base: str, key: str, model: str) -> Sequence[str]:
    """For Anthropic's Python SDK. `key` is a Python expression."""
    return (
        "from anthropic import Anthropic",
        f'client = Anthropic(base_url="{base}", api_key={key})',
        f'client.messages.create(model="{model}", max_tokens=1024, messages=[{{"role": "user", "content": "Hello"}}])',
    )


def openai_lines(base: str, key: str) -> Sequence[str]:
    """For OpenAI's Python SDK. `key` is a Python expression."""
    return ("from openai import OpenAI", f'client = OpenAI(base_url="{base}/v1", api_key={key})')


def curl_line(base: str, key: str, model: str, quoted: Callable[[str], str] = shlex.quote) -> str:
    """One line that streams an answer when it is pasted into a shell, for which `quoted` makes one word of a text."""
    body = {
        "model": model,
        "max_tokens": 1024,
        "stream": True,
        "messages": [{"role": "user", "content": "Say hello"}],
    }
    parts = [
        "curl -sN",
        f"{base}/v1/messages",
        *("-H " + quoted(header) for header in (f"x-api-key: {key}", "content-type: application/json")),
        "-d " + quoted(json.dumps(body)),
    ]
    return " ".join(parts)
