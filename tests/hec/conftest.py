"""A client for the HEC server's own tests: plain http.client, so that nothing of the output is in the way."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import pytest
from msgspec import Struct

from tests.hec.server import HecServer
from tests.hec.token import TOKEN

CHANNEL = "FE0ECFAD-13D5-401B-847D-77833BD77131"
EVENT = "/services/collector/event"
SPLUNK = {"Authorization": f"Splunk {TOKEN}"}


class Reply(Struct, frozen=True):
    """What came back."""

    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> dict[str, object]:
        """The body read as JSON."""
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


def ask(
    server: HecServer,
    body: bytes = b"",
    path: str = EVENT,
    headers: dict[str, str] | None = None,
    method: str = "POST",
) -> Reply:
    """One request over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, body, SPLUNK if headers is None else headers)
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, response.read(), names)
    finally:
        connection.close()


@pytest.fixture
def server() -> Iterator[HecServer]:
    """A server with one token, without acks."""
    with HecServer() as server:
        yield server
