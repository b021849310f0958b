"""Asking: one request to the Coder double with nothing of connlog in between."""

from __future__ import annotations

import http.client
import json
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from tests.coder.server import CoderServer
from tests.coder.world import User


class Reply(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


def ask(
    coder: CoderServer, path: str, user: User | None, headers: dict[str, str] | None = None, **params: Any
) -> Reply:
    split = urlsplit(coder.url)
    connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=60)
    sent = dict(headers or {})
    if user is not None:
        sent["Coder-Session-Token"] = coder.world.token_of(user)
    connection.request("GET", f"/api/v2/{path}?{urlencode(params)}", headers=sent)
    answer = connection.getresponse()
    try:
        raw = answer.read()
    finally:
        answer.close()
        connection.close()
    try:
        body = json.loads(raw)
    except ValueError:
        body = raw
    return Reply(answer.status, body, dict(answer.getheaders()))


def log(coder: CoderServer, user: User | None, **params: Any) -> Any:
    reply = ask(coder, "connectionlog", user, **params)
    assert reply.status == 200, reply
    return reply.body
