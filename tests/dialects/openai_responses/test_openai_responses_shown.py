"""What of a stored response its client sees."""

from __future__ import annotations

from typing import Any

import pytest

from kirotrio.dialects.openai_responses import shown

REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "kts.x"}
SEARCH = {
    "type": "web_search_call",
    "id": "ws_1",
    "action": {"type": "search", "query": "q", "sources": [{"url": "u"}]},
}
MESSAGE = {"type": "message", "id": "msg_1", "content": []}
STORED: dict[str, Any] = {"id": "resp_1", "output": [REASONING, SEARCH, MESSAGE], "store": True}


@pytest.mark.parametrize("thinking", [False, True])
@pytest.mark.parametrize("sources", [False, True])
def test_what_was_not_asked_for_is_left_out(thinking: bool, sources: bool) -> None:
    include = [
        *(["reasoning.encrypted_content"] if thinking else []),
        *(["web_search_call.action.sources"] if sources else []),
    ]
    reasoning, search, message = shown(STORED, include)["output"]
    assert ("encrypted_content" in reasoning) is thinking
    assert ("sources" in search["action"]) is sources
    assert message == MESSAGE
    assert "encrypted_content" in REASONING, "what is stored is not changed"
