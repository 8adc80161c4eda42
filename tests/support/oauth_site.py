"""A provider of plain OAuth 2 on loopback, GitHub's paths and LinuxDo's, that looks at what it is sent."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
import trio
from attrs import define, field


@define
class OAuthSite:
    """Whoever comes is `user`. A code is good once, for the verifier of the challenge that it was given for."""

    user: dict[str, Any]
    addresses: list[dict[str, Any]] = field(factory=list)
    client: tuple[str, str] = ("app", "s3cret")
    denies: bool = False
    port: int = 0
    _codes: dict[str, dict[str, str]] = field(factory=dict)
    _tokens: set[str] = field(factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, nursery: trio.Nursery) -> OAuthSite:
        listeners = await nursery.start(partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1"))
        self.port = int(listeners[0].socket.getsockname()[1])
        return self

    async def _serve(self, stream: trio.SocketStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = await stream.receive_some(65536)
            if not piece:
                return
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        while len(body) < int(fields.get("content-length", 0)):
            body += await stream.receive_some(65536)
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        status, more, answer = self._answer(f"{method} {path}", dict(parse_qsl(query)), fields, body.decode())
        content = orjson.dumps(answer)
        said = f"HTTP/1.1 {status} X\r\ncontent-length: {len(content)}\r\nconnection: close\r\n{more}\r\n".encode()
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(said + content)

    def _answer(self, asked: str, query: dict[str, str], fields: dict[str, str], body: str) -> tuple[int, str, Any]:
        match asked:
            case "GET /login/oauth/authorize" | "GET /oauth2/authorize":
                return 302, f"location: {self._back(query)}\r\n", {}
            case "POST /login/oauth/access_token" | "POST /oauth2/token":
                return 200, "", self._token(dict(parse_qsl(body)), fields.get("authorization", ""))
            case _ if fields.get("authorization", "").removeprefix("Bearer ") not in self._tokens:
                return 401, "", {"message": "Bad credentials"}
            case "GET /api/v3/user" | "GET /api/user":
                return 200, "", self.user
            case "GET /api/v3/user/emails":
                return 200, "", self.addresses
        return 404, "", {}

    def _back(self, query: dict[str, str]) -> str:
        answer = {"state": query["state"], "error": "access_denied"}
        if not self.denies:
            code = f"code-{len(self._codes)}"
            self._codes[code] = query
            answer = {"state": query["state"], "code": code}
        return f"{query['redirect_uri']}?{urlencode(answer)}"

    def _token(self, form: dict[str, str], authorization: str) -> dict[str, str]:
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        if authorization.startswith("Basic "):
            name, _, secret = base64.b64decode(authorization[6:]).decode().partition(":")
            given = (name, secret)
        if given != self.client:
            return {"error": "incorrect_client_credentials"}
        asked = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if asked is None or asked["code_challenge"] != challenge or asked["redirect_uri"] != form["redirect_uri"]:
            return {"error": "bad_verification_code"}
        token = f"token-{len(self._tokens)}"
        self._tokens.add(token)
        return {"access_token": token, "token_type": "bearer"}
