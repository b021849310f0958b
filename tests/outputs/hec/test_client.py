"""A line to a collector: kept as long as it is of use, with what the files say now, and never more than it must remember."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shipper.config import SplunkHecOutput
from shipper.errors import ConfigError
from shipper.outputs.hec import client as clients
from shipper.outputs.hec import tls
from shipper.outputs.hec.answer import Answer, Verdict
from shipper.outputs.hec.client import EVENT_PATH, HEALTH_PATH, Line, Response
from shipper.outputs.hec.connection import Connection, Limits
from shipper.outputs.hec.cookie import COOKIES_MAX_COUNT
from shipper.outputs.hec.tls import Trust
from shipper.wire import Wire
from tests.hec import fault
from tests.hec.certificate import Authority
from tests.hec.proxy import Proxy
from tests.hec.server import HecServer
from tests.hec.token import TOKEN
from tests.outputs.hec.conftest import Rig, wait
from tests.outputs.hec.parrot import Parrot


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "hec-token"
    file.write_text(TOKEN)
    return file


@pytest.fixture
def server() -> Iterator[HecServer]:
    with HecServer() as one:
        yield one


def made(server: HecServer, token: Path, **options: Any) -> Line:
    settings = SplunkHecOutput(endpoints=(server.url,), token_file=token, connect_timeout_seconds=2.0, **options)
    return Line(server.url, settings, Trust(settings) if server.url.startswith("https") else None)


def well(line: Line) -> bool:
    answer = line.ask("GET", HEALTH_PATH, {})
    return isinstance(answer, Response) and answer.status == 200


HEAVY = {"requests", "urllib3", "http.cookiejar", "urllib.request", "encodings.idna"}


def test_to_send_loads_no_more_than_sending_takes(server: HecServer, token: Path) -> None:
    """A library with all that HTTP can do takes longer to load than many a log to send."""
    code = (
        "import sys; from pathlib import Path; from shipper.config import SplunkHecOutput; "
        "from shipper.outputs.hec.client import HEALTH_PATH, Line; "
        f"line = Line({server.url!r}, SplunkHecOutput(endpoints=({server.url!r},), token_file=Path({str(token)!r})), None); "
        f"print(line.ask('GET', HEALTH_PATH, {{}}).status, sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "200 []\n"


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    server: HecServer, token: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A firewall may have forgotten it: events sent on it would be possible duplicates."""
    line = made(server, token)
    assert well(line)
    assert well(line)
    assert server.connections == 1
    monkeypatch.setattr(clients, "IDLE_MAX_SECONDS", -1.0)
    assert well(line)
    assert server.connections == 2
    line.close()


def test_cookies_are_kept_over_connections_and_bounded(token: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They make a balancer's sessions sticky; a server that gives ever new ones fills no memory."""
    with HecServer(nodes=3, cookie="node") as server:
        line = made(server, token)
        assert well(line)
        monkeypatch.setattr(clients, "IDLE_MAX_SECONDS", -1.0)
        for _ in range(5):
            assert well(line)
        assert len({seen.node for seen in server.seen}) == 1
        for number in range(200):
            headers = tuple(("Set-Cookie", f"c{number}-{at}=x; Path=/") for at in range(5))
            server.script.add(fault.status(200, b"{}", headers=headers), to="health")
            assert well(line)
            cookies = line._connection.cookies
            assert cookies is not None
            assert len(cookies) <= COOKIES_MAX_COUNT
        line.close()


def test_each_request_has_its_own_body_and_headers_and_the_cookies_of_before(token: Path) -> None:
    """Over one connection: what a request says is its own, but for what the server wanted to get back."""
    with HecServer(cookie="node", nodes=2) as server:
        line = made(server, token)
        for number, name in enumerate((TOKEN, TOKEN, "another", TOKEN)):
            body = b'{"event":"%s"}' % (b"x" * (1 + number))
            headers = {"Authorization": f"Splunk {name}", "Content-Type": "application/json"}
            response = line.ask("POST", clients.EVENT_PATH, headers, body)
            assert isinstance(response, Response)
            assert response.status == (200 if name == TOKEN else 403)
        assert [event.event for event in server.events] == ["x", "xx", "xxxx"]
        assert server.connections == 1
        assert len({seen.node for seen in server.seen}) == 1
        line.close()


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\0b", "\u2028", " a", ""])
def test_a_header_that_would_be_more_than_one_is_never_sent(server: HecServer, token: Path, value: str) -> None:
    line = made(server, token)
    assert well(line)
    answer = line.ask("GET", HEALTH_PATH, {"Authorization": value})
    assert isinstance(answer, Answer)
    assert answer.verdict is Verdict.REFUSED
    assert "characters that can't be sent" in answer.text
    assert not value.strip() or value not in answer.text
    assert len(server.seen) == 1
    line.close()


def test_certificates_that_are_renewed_are_taken_up(
    token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to start it again; what is no certificate is not taken up."""
    monkeypatch.setattr(tls, "LOOK_SECONDS", 0.0)
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = Authority(tmp_path / "old"), Authority(tmp_path / "new")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(old.ca_file.read_bytes())
    with HecServer(tls=new.server()) as server:
        line = made(server, token, ca_file=trusted)
        assert not well(line)
        trusted.write_text("nonsense")
        assert not well(line)
        trusted.write_bytes(new.ca_file.read_bytes())
        assert well(line)
        trusted.unlink()
        assert well(line)
        line.close()


@pytest.mark.parametrize("key", ["ca_file", "client_cert_file", "client_key_file"])
def test_a_pipe_for_a_certificate_is_an_error_at_once(token: Path, tmp_path: Path, key: str) -> None:
    """OpenSSL would wait for ever for somebody who writes into it."""
    (tmp_path / "authority").mkdir()
    authority = Authority(tmp_path / "authority")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    files = {"client_cert_file": authority.ca_file, "client_key_file": authority.ca_file} if "client" in key else {}
    settings = SplunkHecOutput(endpoints=("https://localhost:1",), token_file=token, **{**files, key: pipe})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="PEM form"):
        Trust(settings)


def test_a_server_that_wants_another_certificate_has_taken_nothing(token: Path, tmp_path: Path) -> None:
    """With TLS 1.3 it says so only after the connection is made, where its word is not cut off by the end of that."""
    authority = Authority(tmp_path)
    with HecServer(tls=authority.server(client_certificates=True)) as server:
        line = made(server, token, ca_file=authority.ca_file)
        answers: list[Answer] = []

        def told() -> bool:
            answer = line.ask("GET", EVENT_PATH, {})
            assert isinstance(answer, Answer)
            answers.append(answer)
            return answer.verdict is Verdict.HELD

        assert wait(told)
        assert "client_cert_file" in answers[-1].text
        line.close()


@pytest.mark.parametrize("encrypted", [False, True])
def test_the_credential_of_a_proxy_is_waited_for_and_read_again(tmp_path: Path, encrypted: bool) -> None:
    """Without its file everything is held; a wrong one is read again, and no restart is needed."""
    credential = tmp_path / "proxy-auth"
    authority = Authority(tmp_path)
    with HecServer(tls=authority.server() if encrypted else None) as server, Proxy("user:secret") as proxy:
        rig = Rig(tmp_path, server.url)
        rig.append(1)
        trust: dict[str, Any] = {"ca_file": authority.ca_file} if encrypted else {}
        rig.start(proxy=proxy.url, proxy_auth_file=credential, **trust)
        assert wait(lambda: "proxy-auth" in (rig.state().held or ""))
        credential.write_text("user:wrong\n")
        assert wait(lambda: "407" in (rig.state().held or ""))
        credential.write_text("user:secret\n")
        assert rig.delivered()
        assert rig.state().possible_duplicates == 0
        rig.close()


@pytest.mark.parametrize("proxy_encrypted", [False, True])
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_proxy_on_the_way_may_be_encrypted_itself(
    tmp_path: Path, token: Path, encrypted: bool, proxy_encrypted: bool
) -> None:
    authority = Authority(tmp_path)
    tls_of_proxy = authority.server() if proxy_encrypted else None
    with HecServer(tls=authority.server() if encrypted else None) as server, Proxy("", tls_of_proxy) as proxy:
        settings = SplunkHecOutput(
            endpoints=(server.url,), token_file=token, ca_file=authority.ca_file, proxy=proxy.url
        )
        line = Line(server.url, settings, Trust(settings))
        headers = {"Authorization": f"Splunk {TOKEN}"}
        for number in range(3):
            body = b'{"event":"%d %s"}' % (number, b"x" * 100_000)
            response = line.ask("POST", EVENT_PATH, headers, body)
            assert isinstance(response, Response), response
            assert response.status == 200
        assert proxy.passed >= 1
        assert len(server.events) == 3
        line.close()


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("http://bücher.example/a b/ü", b"GET http://xn--bcher-kva.example/a%20b/%C3%BC/x", b"xn--bcher-kva.example"),
        ("http://BÜcher.example:80", b"GET http://xn--bcher-kva.example:80/x", b"xn--bcher-kva.example"),
        ("http://[::1]:8088", b"GET http://[::1]:8088/x", b"[::1]:8088"),
        ("https://bücher.example/a b", b"CONNECT xn--bcher-kva.example:443", b"xn--bcher-kva.example:443"),
        ("https://[::1]:8088", b"CONNECT [::1]:8088", b"[::1]:8088"),
    ],
)
def test_a_proxy_is_told_the_server_in_the_one_form_that_all_know(url: str, target: bytes, host: bytes) -> None:
    with Parrot([b"HTTP/1.1 502 Bad Gateway\r\n\r\n"]) as proxy:
        connection = Connection(url, Wire(), Limits(5.0, 5.0, 1000))
        connection.use(None, proxy.url.replace("//", "//user:s%C3%A9cret@"))
        if target.startswith(b"GET"):
            assert connection.ask("GET", "/x", {}, None).status == 502
        else:
            with pytest.raises(OSError, match="502 Bad Gateway"):
                connection.ask("GET", "/x", {}, None)
        first, *headers = proxy.heads[0].split(b"\r\n")
        assert first.rpartition(b" ")[0] == target
        assert b"Host: " + host in headers
        assert b"Proxy-Authorization: Basic dXNlcjpzw6ljcmV0" in headers
        connection.close()


def test_a_path_with_what_no_request_may_hold_is_asked_for_in_its_escaped_form() -> None:
    with Parrot([b"HTTP/1.1 204 No Content\r\n\r\n"]) as server:
        connection = Connection(f"{server.url}/a b/ü", Wire(), Limits(5.0, 5.0, 1000))
        connection.ask("POST", "/x?y=z", {}, b"")
        lines = server.heads[0].split(b"\r\n")
        assert lines[0] == b"POST /a%20b/%C3%BC/x?y=z HTTP/1.1"
        # Of each exactly one: servers differ about the others.
        assert sorted(lines[1:]) == [
            b"Accept-Encoding: identity",
            b"Content-Length: 0",
            b"Host: " + server.url[7:].encode(),
        ]
        connection.close()
