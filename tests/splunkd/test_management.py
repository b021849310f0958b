"""Whatever a management port answers, it becomes plain values or one of connlog's own errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipper.errors import ConnlogError, RemoteBusy, RemoteError, RemoteMissing, RemoteRefused
from shipper.splunk import transport
from shipper.splunk.management import Management, RemoteConflict
from shipper.splunk.transport import Server, read_server
from tests.splunkd.atom import Entry, feed
from tests.splunkd.server import Fault, Splunkd
from tests.splunkd.world import BEARER, World

CALLS: dict[str, Callable[[Management], Any]] = {
    "about": Management.about,
    "restart": Management.wants_restart,
    "index": lambda splunk: splunk.index("coder"),
    "collector": Management.collector,
    "token": lambda splunk: splunk.token("connlog"),
    "app": lambda splunk: splunk.app("TA_coder_connlog"),
    "macro": lambda splunk: splunk.macro("TA_coder_connlog", "connlog_index"),
    "search": lambda splunk: splunk.search("| tstats count AS events WHERE index=* BY host", "0", "1"),
}
FRAGMENTS = (
    b"<feed>", b"</feed>", b"<entry>", b"</entry>", b"<title>x</title>", b"<content type='text/xml'>", b"</content>",
    b"<s:dict xmlns:s='http://dev.splunk.com/ns/rest'>", b"<s:key name='a'>1</s:key>", b"</s:dict>", b"<link href='/a' rel='b'/>",
    b'{"messages":[{"type":"ERROR","text":"t"}]}', b'{"result":{"host":"h"}}\n', b'{"messages":7}', b"[]", b"null", b"\xff", b"&x;",
    b"<response><messages><msg type='WARN'>w</msg></messages></response>", feed("x", [Entry("http", "/a", {"disabled": "1"})]),
)  # fmt: skip
BODIES = st.binary(max_size=60) | st.lists(st.sampled_from(FRAGMENTS), max_size=8).map(b"".join)
TYPES = st.sampled_from(["text/xml; charset=UTF-8", "application/json", "text/plain", "", "text/xml; charset=klingon"])


@pytest.fixture(scope="module")
def splunk() -> Iterator[Splunkd]:
    with Splunkd(World()) as one:
        yield one


def management(splunk: Splunkd) -> Management:
    return Management(read_server(splunk.url, None, False, 30.0), BEARER)


@settings(max_examples=150)
@given(
    st.sampled_from(sorted(CALLS)),
    st.sampled_from([200, 201, 204, 400, 401, 403, 404, 409, 429, 500, 503, 599]),
    BODIES,
    TYPES,
)
def test_any_answer_is_a_value_or_an_error_of_our_own(
    splunk: Splunkd, call: str, status: int, body: bytes, kind: str
) -> None:
    """Never another exception, and never a longer message than fits a terminal."""
    splunk.faults = [Fault("/", status=status, body=body if status != 204 else b"", content_type=kind)]
    try:
        found = CALLS[call](management(splunk))
    except ConnlogError as error:
        assert len(str(error)) < 1000
        assert BEARER not in str(error)
    else:
        assert status < 300 or (status == 404 and not found)
        assert not isinstance(found, dict) or all(isinstance(value, str) for value in found.values())


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, RemoteRefused), (403, RemoteRefused), (404, RemoteMissing), (409, RemoteConflict), (429, RemoteBusy), (503, RemoteBusy), (400, RemoteError), (500, RemoteError)],
)  # fmt: skip
def test_a_status_becomes_the_error_that_says_what_to_do(splunk: Splunkd, status: int, kind: type[RemoteError]) -> None:
    splunk.faults = [Fault("data/indexes", status=status, body=b"<response/>")]
    with pytest.raises(RemoteError) as caught:
        management(splunk).create_index("x")
    assert type(caught.value) is kind
    assert "create the index x" in str(caught.value)


@pytest.mark.parametrize("call", ["about", "index", "search"])
@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize(
    "body", [b"<a>" * 50_000 + b"</a>" * 50_000, b'{"a":' * 50_000, b"[" * 50_000], ids=["xml", "json", "list"]
)
def test_deep_nesting_is_an_error_like_another(splunk: Splunkd, call: str, status: int, body: bytes) -> None:
    splunk.faults = [Fault("/", status=status, body=body)]
    with pytest.raises(RemoteError):
        CALLS[call](management(splunk))


def test_one_name_twice_is_not_guessed_at(splunk: Splunkd) -> None:
    splunk.faults = [Fault("data/indexes", body=feed("x", [Entry("coder", "/a", {}), Entry("coder", "/b", {})]))]
    with pytest.raises(RemoteError):
        management(splunk).index("coder")


def test_an_answer_without_end_is_cut_off(splunk: Splunkd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "ANSWER_MAX_BYTES", 10_000)
    splunk.faults = [Fault("server/info", body=b"x" * 100_000)]
    with pytest.raises(RemoteError, match="more than"):
        management(splunk).about()


def test_a_preview_is_no_result_and_a_warning_is_kept(splunk: Splunkd) -> None:
    body = b'{"preview":true,"result":{"host":"half"}}\n\n{"messages":[{"type":"WARN","text":"w"},{"type":"INFO","text":"i"}]}\n{"preview":false,"result":{"host":"whole"}}\n'  # fmt: skip
    splunk.faults = [Fault("export", body=body, content_type="application/json")]
    found = management(splunk).search("| x", "0", "1")
    assert (found.rows, found.warnings) == ([{"host": "whole"}], ["w"])


@pytest.mark.parametrize(
    ("version", "path"), [("8.2.9", "/services/search/jobs/export"), ("9.4.1", "/services/search/v2/jobs/export")]
)
def test_an_older_splunk_is_asked_in_its_own_way(version: str, path: str) -> None:
    with Splunkd(World(version=version)) as splunk:
        management(splunk).search("| tstats count AS events WHERE index=* BY host", "0", "1")
        assert splunk.asked[-1].path == path


@pytest.mark.parametrize(
    ("host", "local", "shown"),
    [("localhost", True, "https://localhost:8089"), ("127.0.0.2", True, "https://127.0.0.2:8089"), ("::1", True, "https://[::1]:8089"), ("splunk.example.com", False, "https://splunk.example.com:8089"), ("127.example.com", False, "https://127.example.com:8089")],
)  # fmt: skip
def test_only_this_machine_is_local(host: str, local: bool, shown: str) -> None:
    server = Server("https", host, 8089)
    assert (server.local, server.shown) == (local, shown)
