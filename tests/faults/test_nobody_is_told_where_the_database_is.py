"""While the database is away visitors and clients get a plain sentence; the log says which database it is, and why."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import trio
from sqlalchemy import make_url
from support.console import Browser
from support.engines import PostgresServer, open_database
from support.keys import client_of, give_out
from support.several import kept
from support.stack import question, running

from kirotrio.errors import StoreUnavailable

SENTENCE = "he database does not answer as it should; try again in a moment"


async def test_a_stranger_and_a_client_get_a_plain_sentence_and_the_log_the_rest(
    tmp_path: Path, postgresql: PostgresServer
) -> None:
    url = postgresql.migrated_database()
    parts = make_url(url)
    places = ["postgresql", "psycopg", str(parts.database), *map(str, parts.query.values()), "socket", "5432"]
    sections = {"store": {"url": url, "look_every": 0.1}, "deadlines": {"store": 1.0}}
    async with running(tmp_path, kept=[kept("work")], **sections) as one:
        limited = await give_out(one, "limited", "month:requests=100")
        await trio.to_thread.run_sync(postgresql.stop)
        try:
            answers: list[httpx.Response] = []
            for language in ("en", "zh-CN"):
                stranger = Browser(f"http://127.0.0.1:{one.port}", {"accept-language": language})
                answers.append(await stranger.open("/console/sign-in"))
            async with client_of(one, limited) as client:
                answers.append(await client.post("/v1/messages", json=question()))
                answers.append(await client.post("/v1/chat/completions", json=question()))
        finally:
            await trio.to_thread.run_sync(postgresql.start)
        assert [answer.status_code for answer in answers] == [503] * 4
        for answer in answers:
            told = [place for place in places if place.lower() in answer.text.lower()]
            assert told == [], f"strangers are told {told}: {answer.text}"
        english, chinese, *calls = answers
        assert SENTENCE in english.text
        assert "数据库没有正常应答，请稍后再试" in chinese.text
        assert all(SENTENCE in call.text for call in calls)

        said = [fields["error"] for _, event, fields in one.log.lines if event == "a step of the database failed"]
        assert said, "the log does not say what is wrong with the database"
        where = one.gateway.accounts.shared.database.where
        assert all(f"the database {where} does not answer (" in line for line in said), said


def test_an_outage_is_told_once_and_the_next_one_again(tmp_path: Path) -> None:
    database = open_database("", tmp_path)
    told: list[str] = []
    database.tell = told.append

    def fail(_: object) -> None:
        raise OSError(5, "the disk is gone")

    for _ in range(2):
        for _ in range(3):
            with pytest.raises(StoreUnavailable) as failure:
                database.reading(fail)
        database.reading(lambda connection: None)
    database.close()
    assert told == [f"the database {database.where} does not answer (the disk is gone)"] * 2
    assert failure.value.in_full == told[0]
    assert failure.value.message == "t" + SENTENCE
