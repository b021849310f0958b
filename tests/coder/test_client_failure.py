"""The client ends every failure with words and a bound, obeys the rate limit, and shows the token to nobody else."""

from __future__ import annotations

import ssl
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import trustme
from msgspec.structs import replace

from shipper.coder import client as client_module
from shipper.coder.client import CoderClient
from shipper.coder.failure import RETRY_LONGEST_SECONDS, retry_seconds
from shipper.coder.walk import walk_users
from shipper.config.settings import Coder
from shipper.errors import ConnlogError, RemoteBusy, RemoteError, RemoteMissing, RemoteRefused, SecretError, UsageError
from tests.coder import fault
from tests.coder.scene import Scene
from tests.coder.server import CoderServer
from tests.hec.proxy import Proxy

# ---- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("broken", "error", "words"),
    [
        (fault.unauthorized(), RemoteRefused, "401, Coder does not take the token"),
        (fault.forbidden(), RemoteRefused, "403, the token may not do this .*Forbidden"),
        (fault.missing(), RemoteMissing, "404, not there, or hidden"),
        (fault.limited(retry_after=None), RemoteBusy, "429 .*rate limited"),
        (fault.broken(), RemoteBusy, "500 .*internal server error"),
        (fault.broken(status=502), RemoteBusy, "502"),
        (fault.broken(status=418), RemoteError, "418"),
        (fault.cut(), RemoteBusy, "ended before its end|was cut"),
        (fault.garbage(b"{"), RemoteError, "none of Coder's"),
        (fault.garbage(b'{"users":{"a":1}}'), RemoteError, "none of Coder's"),
        (fault.garbage(b"[" * 100_000), RemoteError, "none of Coder's"),
        (fault.garbage(b'{"users":[],"count":"many"}'), RemoteError, "none of Coder's"),
        (fault.proxy_page(), RemoteError, "check that coder.url is Coder's"),
        (fault.moved("https://login.example.com/"), RemoteError, "redirects to 'https://login.example.com/'"),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_each_failure_has_its_kind_and_names_the_address_and_never_the_token(
    scene: Scene, coder: CoderServer, settings: Coder, broken: fault.Fault, error: type[ConnlogError], words: str
) -> None:
    coder.fail(broken, times=3)
    with CoderClient(settings, attempts=1) as client, pytest.raises(error, match=words) as caught:
        list(walk_users(client))
    assert coder.url in str(caught.value)
    assert scene.world.token_of(scene.alice) not in repr(caught.value)
    assert scene.world.token_of(scene.alice) not in repr(vars(client).get("_settings"))


@pytest.mark.parametrize("broken", [fault.broken(), fault.cut(), fault.limited(retry_after="0")])
def test_what_may_pass_is_tried_again(coder: CoderServer, settings: Coder, broken: fault.Fault) -> None:
    coder.fail(broken, times=2)
    with CoderClient(settings) as client:
        assert client.me().username == "alice"
    assert len(coder.paths()) == 3


def test_it_does_not_try_without_end(coder: CoderServer, settings: Coder) -> None:
    coder.fail(fault.broken(), times=99)
    with CoderClient(settings, attempts=2) as client, pytest.raises(RemoteBusy):
        client.me()
    assert len(coder.paths()) == 2


def test_retry_after_is_obeyed_and_a_stop_ends_the_wait(coder: CoderServer, settings: Coder) -> None:
    coder.fail(fault.limited(retry_after="60"), times=2)
    stop = threading.Event()
    outcome: list[object] = []
    told: list[str] = []

    def ask() -> None:
        with CoderClient(settings, stop=stop, tell=told.append) as client:
            try:
                outcome.append(client.me())
            except RemoteBusy as error:
                outcome.append(error.retry_seconds)

    thread = threading.Thread(target=ask)
    thread.start()
    deadline = time.monotonic() + 60
    while not coder.paths() and time.monotonic() < deadline:
        time.sleep(0.01)
    thread.join(0.6)
    assert thread.is_alive()
    assert len(coder.paths()) == 1
    stop.set()
    thread.join(10)
    assert outcome == [60.0]
    assert told == ["Coder wants to be left alone, or fails; waiting 60 s"]


def test_who_wants_to_be_left_alone_for_long_is_not_asked_again(coder: CoderServer, settings: Coder) -> None:
    coder.fail(fault.limited(retry_after="3600"))
    with CoderClient(settings) as client, pytest.raises(RemoteBusy, match="try again in 60 minutes") as caught:
        client.me()
    assert caught.value.retry_seconds == 3600
    assert len(coder.paths()) == 1


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("7", 7, 7),
        (format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 3000, 3600),
        ("Mon, 01 Jan 2024 00:00:00 GMT", 0, 0),
        ("999999999999", RETRY_LONGEST_SECONDS, RETRY_LONGEST_SECONDS),
    ],
)
def test_retry_after_as_number_and_as_date(text: str, least: float, most: float) -> None:
    wish = retry_seconds(text)
    assert wish is not None
    assert least <= wish <= most


@pytest.mark.parametrize("text", [None, "", "soon", "-1", "1.5", "Mon, 99 Foo 2024 99:00:00 GMT"])
def test_a_retry_after_that_is_none_asks_for_nothing(text: str | None) -> None:
    assert retry_seconds(text) is None


def test_the_window_of_the_rate_limit_is_not_overrun(scene: Scene, settings: Coder) -> None:
    """The server's clock runs so that each window ends half a second after it began to count."""
    begun = time.time()

    def clock() -> float:
        now = time.time()
        return now if now - begun > 60 else begun - begun % 60 + 59.5 + (now - begun)

    with CoderServer(scene.world, limit=3, clock=clock) as coder:
        with CoderClient(replace(settings, url=coder.url), stop=(stop := threading.Event())) as client:
            for _ in range(3):
                client.me()
            assert client._ready_at > 0
            stop.set()
        assert coder.paths() == ["/api/v2/users/me"] * 3


def test_a_new_token_is_read_from_the_file_when_the_old_is_refused(
    scene: Scene, coder: CoderServer, settings: Coder
) -> None:
    assert settings.token_file is not None
    with CoderClient(settings) as client:
        assert client.me().username == "alice"
        scene.world.tokens.clear()
        settings.token_file.write_text(scene.world.token_of(scene.auditor) + "\n")
        assert client.me().username == "audrey"
        scene.world.tokens.clear()
        with pytest.raises(RemoteRefused):
            client.me()


def test_no_token_is_sent_where_a_redirect_leads(scene: Scene, coder: CoderServer, settings: Coder) -> None:
    with CoderServer(scene.world) as elsewhere:
        coder.fail(fault.moved(f"{elsewhere.url}/api/v2/users/me"))
        with CoderClient(settings) as client, pytest.raises(RemoteError, match="not followed"):
            client.me()
        assert elsewhere.paths() == []


def test_nothing_of_the_netrc_is_sent(
    coder: CoderServer, settings: Coder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login someone password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with CoderClient(settings) as client:
        client.me()
    assert "Authorization" not in coder.asked[0].headers
    assert "coder_session_token" not in coder.asked[0].parameters


def test_a_slow_answer_ends_after_the_timeout(coder: CoderServer, settings: Coder) -> None:
    coder.fail(fault.slow(30))
    with (
        CoderClient(replace(settings, timeout_seconds=0.2), attempts=1) as client,
        pytest.raises(RemoteBusy, match=r"in time|longer than coder\.timeout"),
    ):
        client.me()


def test_an_answer_that_drips_ends_after_the_timeout_too(coder: CoderServer, settings: Coder) -> None:
    """Each byte comes in time; head and body together would take a minute."""
    coder.fail(fault.drip(0.1))
    with (
        CoderClient(replace(settings, timeout_seconds=0.5), attempts=1) as client,
        pytest.raises(RemoteBusy, match=r"takes longer than coder\.timeout"),
    ):
        client.me()
    with CoderClient(settings) as client:
        assert client.me().username == "alice"


def test_a_cut_ends_the_request_under_way(coder: CoderServer, settings: Coder) -> None:
    coder.fail(fault.slow(60), times=9)
    with CoderClient(replace(settings, timeout_seconds=60.0), attempts=1) as client:
        outcome: list[BaseException] = []

        def ask() -> None:
            try:
                client.me()
            except RemoteBusy as error:
                outcome.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        deadline = time.monotonic() + 60
        while thread.is_alive() and time.monotonic() < deadline:
            client.cut()
            thread.join(0.05)
        assert len(outcome) == 1


def test_an_answer_too_large_is_not_read_on(
    coder: CoderServer, settings: Coder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_MAX_BYTES", 1 << 20)
    coder.fail(fault.garbage(b" " * (2 << 20)))
    with CoderClient(settings) as client, pytest.raises(RemoteError, match="not read on"):
        client.me()


def test_nobody_there(scene: Scene, settings: Coder) -> None:
    server = CoderServer(scene.world)
    with server:
        pass
    with (
        CoderClient(replace(settings, url=server.url), attempts=1) as client,
        pytest.raises(RemoteBusy, match="no connection"),
    ):
        client.me()


def test_without_an_address_or_a_token_nothing_is_asked(coder: CoderServer, settings: Coder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"set coder\.url"):
        CoderClient(Coder())
    with CoderClient(replace(settings, token_file=tmp_path / "none")) as client, pytest.raises(SecretError):
        client.me()
    assert coder.paths() == []


@pytest.mark.parametrize("tls", [False, True])
def test_a_proxy_of_the_environment_is_used_and_sees_no_token_through_tls(
    scene: Scene, settings: Coder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    pem = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    with Proxy() as proxy, CoderServer(scene.world, tls=context if tls else None) as coder:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with CoderClient(replace(settings, url=coder.url, ca_file=pem)) as client:
            assert client.me().username == "alice"
        assert proxy.passed == 1
        monkeypatch.setenv("NO_PROXY", "localhost")
        with CoderClient(replace(settings, url=coder.url, ca_file=pem)) as client:
            assert client.me().username == "alice"
        assert proxy.passed == 1


# ---- TLS -----------------------------------------------------------------------------------------


def test_the_certificate_is_checked_with_the_file_that_is_named(scene: Scene, settings: Coder, tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    pem = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(pem))
    with CoderServer(scene.world, tls=tls) as coder:
        there = replace(settings, url=coder.url)
        with CoderClient(replace(there, ca_file=pem)) as client:
            assert client.me().username == "alice"
        with CoderClient(there, attempts=1) as client, pytest.raises(RemoteBusy, match="not trusted"):
            client.me()
        with (
            CoderClient(replace(there, ca_file=tmp_path / "no.pem")) as client,
            pytest.raises(SecretError, match="ca_file"),
        ):
            client.me()
        empty = tmp_path / "empty.pem"
        empty.write_text("nothing")
        with CoderClient(replace(there, ca_file=empty)) as client, pytest.raises(SecretError, match="no certificate"):
            client.me()
