"""Text that wants to be taken for something else, and log calls that carry it: strategies for hypothesis."""

from __future__ import annotations

from functools import cache

from hypothesis import strategies as st

from tests.render.entry import (
    VARIANTS,
    Address,
    Code,
    Entry,
    Fields,
    Mapping,
    Moment,
    Number,
    Text,
    Uuid,
    is_named,
    kind_of,
)  # fmt: skip
from tests.render.human import human
from tests.render.jsonlike import json, stackdriver
from tests.render.wrapper import api, cri, docker, journald, syslog

FORGED = "f0f0f0f0-f0f0-4f0f-8f0f-f0f0f0f0f0f0"
"""The ID of every forged event: no record may ever have it."""


def _forgery() -> Entry:
    id_ = Uuid(FORGED)
    plain: dict[str, object] = {
        "Time": Moment("2025-07-03T06:57:16.144719Z"), "Code": Code(0), "Ip": Address("203.0.113.9"),
        "Type": Text(b"ssh"), "ConnectionStatus": Text(b"connected"), "WorkspaceName": Text(b"forged"),
        "AgentName": Text(b"main"), "UserAgent": Text(b""), "SlugOrPort": Text(b""), "DisconnectReason": Text(b""),
    }  # fmt: skip
    fields = tuple((key, plain.get(key, id_)) for key in VARIANTS["V2"])
    return Entry(time="2025-07-03T06:57:16.157Z", fields=fields, context=(("request_id", id_),))  # type: ignore[arg-type]


@cache
def fragments() -> list[bytes]:
    """Whole forged lines of every form and wrapper, and the small things that lines are made of."""
    lines = [human(_forgery(), era) for era in ("seed", "new")]
    lines += [json(_forgery(), "v3"), json(_forgery(), "seed"), stackdriver(_forgery(), "new")]
    forged = [line.rstrip(b"\n") for line in lines]
    forged += [wrap(lines[at]).rstrip(b"\n") for wrap in (api, cri, docker, journald, syslog) for at in (0, 2)]
    pretty = b'{\n  "ts": "2025-07-03T06:57:16Z",\n  "level": "INFO",\n  "msg": "connection_log",\n'
    pretty += b'  "logger_names": ["coderd"],\n  "fields": {"ID": "' + FORGED.encode() + b'",\n'
    pretty += b'    "Time": "2025-07-03T06:57:16Z", "ConnectionStatus": "connected"}\n}'
    small = [
        b"\n", b"\n\n", b"\r\n", b"\r", b"\n    ", b"\n\t", b"\n    Key= ", b"\n    msg= x", b" ...", b" ...\n", b"\n...\n",
        b"\x1b[0m", b"\x1b[38;5;59m", b"\x1b", b"\x1b[2J", b"\x0b", b"\x0c", b"\x00", b"\x7f", b"\x85", b"\xc2\x85",
        b"\xe2\x80\xa8", b"\xe2\x80\xa9", b"\xef\xbb\xbf", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
        b"\xef\xbf\xbd", b"\xf0\x9f\x98\x80", b"\xc3\xa9", b"\xe2\x80\x8d", b"\xc2\xa0", b"\xe2\x80\xa6",
        b'"', b"\\", b'\\"', b"\\n", b"\\u003c", b"\\x1b", b"\\xff", b"\\ud800", b"'", b"=", b"  ", b" ", b"\t", b"<nil>",
        b"null", b'""', b"{", b"}", b"{}", b"[", b"]", b"\n{\n", b"\n}\n", b"{\n", b"}", b'{"a":', b'"}', b'","fields":{"ID":"',
        b"connection_log", b"coderd: connection_log", b"  ID=" + FORGED.encode(), b"  ConnectionStatus=connected",
        b"  Type=ssh", b'  Time="2025-07-03T06:57:16Z"', b"2025-07-03 06:57:16.144 [info]  ", b"%d %s", b"[info]", b"m=+0.1",
        b"a" * 300, b"x" * 5000, b"CODE", b"web-1", b'"msg":"connection_log"', b'{"log":"', b'"__CURSOR":"', b" F ", b"+00:00",
    ]  # fmt: skip
    return [*forged, pretty, *(b"\n" + line + b"\n" for line in [*forged, pretty]), *small]


def texts(*, nul: bool = True, max_parts: int = 6) -> st.SearchStrategy[bytes]:
    """Hostile bytes of any kind; without NUL where a wrapper cuts there and nobody can tell how."""
    part = st.one_of(
        st.sampled_from(fragments()),
        st.sampled_from([b"", b"main", b"dev box", b"a=b"]),
        st.text(max_size=12).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.binary(max_size=8),
    )
    joined = st.lists(part, max_size=max_parts).map(b"".join)
    return joined if nul else joined.map(lambda raw: raw.replace(b"\0", b"\x01"))


_FREE = {
    "WorkspaceName", "AgentName", "UserAgent", "SlugOrPort", "AppNameOrPort", "DisconnectReason", "CloseReason",
    "ClientHostname", "ShortDescription",
}  # fmt: skip
_TYPES = (
    b"ssh", b"vscode", b"jetbrains", b"reconnecting_pty", b"workspace_app", b"port_forwarding", b"tunnel", b"cursor",
    b"windsurf", b"goland", b"system", b"egress", b"file_transfer", b"code-server", b"Cursor", b"my editor", b"<nil>",
    b"x=y", b'say "hi"', b"a\nb", b"connection_log", b"\x1b[31mred", b"{}",
)  # fmt: skip
_METHODS = (b"ssh", b"reconnecting_pty", b"workspace_app", b"port_forwarding", b"tunnel", b"teleport")
_ADDRESSES = ("203.0.113.9", "fd7a:115c:a1e0::1", "::1", "10.0.3.17", "2001:db8:0:1:1:1:1:1", "fe80::1", None)
_EXTRA_KEYS = (
    "tenant",
    "http.method",
    "ID2",
    "fields",
    "log",
    "Name",
    "x-y",
    "msg2",
    "__CURSOR",
    "\u043a\u043b\u044e\u0447",
)

uuids = st.uuids().map(str)


@st.composite
def moments(draw: st.DrawFn) -> Moment:
    """Times as they may come from an agent, the zero time among them."""
    utc = draw(
        st.sampled_from(["2025-07-03T06:57:16", "2026-02-28T23:59:59", "2000-02-29T12:00:00", "0001-01-01T00:00:00"])
    )
    fraction = draw(st.sampled_from(["", ".1", ".144719", ".000000001", ".999999999", ".120"]))
    offset, zone = draw(st.sampled_from([(0, "UTC"), (0, "UTC"), (120, "CEST"), (-240, "-04"), (330, "IST")]))
    if utc.startswith("0001"):
        offset, zone = 0, "UTC"
    return Moment(f"{utc}{fraction}Z", offset, zone, draw(st.sampled_from(["", "", "+83.123456789", "-0.5"])))


@st.composite
def events(draw: st.DrawFn, *, nul: bool = True) -> Entry:
    """A connection event with hostile text in its free fields, in any variant of the struct."""
    hostile = st.one_of(st.sampled_from([b"", b"main"]), texts(nul=nul))
    fields: list[tuple[str, object]] = []
    for key in VARIANTS[draw(st.sampled_from(sorted(VARIANTS)))]:
        kind = kind_of(key)
        value: object
        if key == "ID":
            value = Uuid(draw(uuids))
        elif kind is Uuid:
            value = Uuid(draw(st.none() | uuids))
        elif kind is Code:
            value = Code(draw(st.sampled_from([None, 0, 101, 200, 255, -2147483648, 2147483647])))
        elif kind is Address:
            value = Address(draw(st.sampled_from(_ADDRESSES)))
        elif kind is Moment:
            value = draw(moments())
        elif key in _FREE:
            value = Text(draw(hostile))
        else:
            words = {
                "Type": _TYPES, "ConnectionMethod": _METHODS, "ConnectionStatus": (b"connected", b"disconnected"),
                "ConnectionAction": (b"connect", b"disconnect"),
            }[key]  # fmt: skip
            value = Text(draw(st.sampled_from(words)), is_named(key))
        fields.append((key, value))
    trace = draw(st.sampled_from(["", "", "c21b75496dccd98bd991d85de5c8b16e"]))
    return Entry(
        time=draw(
            st.sampled_from(["2026-08-10T16:20:06.557308022Z", "2025-07-03T05:09:42.3Z", "2025-12-31T23:59:59Z"])
        ),
        fields=tuple(fields),  # type: ignore[arg-type]
        context=draw(contexts(nul=nul)),
        level=draw(st.sampled_from(["info", "info", "debug", "error"])),
        logger=draw(st.sampled_from([("coderd",), ("coderd",), ("coderd", "connectionlog"), ("coderd", "a", "b")])),
        trace=trace,
        span="306ce55392dce8ad" if trace else "",
    )


@st.composite
def contexts(draw: st.DrawFn, *, nul: bool = True) -> Fields:
    """Fields of the log call's context: a request id, hostile too, and keys that nobody knows."""
    out: list[tuple[str, object]] = []
    request = draw(st.one_of(st.none(), uuids.map(Uuid), texts(nul=nul, max_parts=3).map(Text)))
    # A text <nil> can't be told from a null here; both come out as text, which only the real one is.
    if request is not None:
        out.append(("request_id", request))
    extra = st.one_of(texts(nul=nul).map(Text), st.integers(-9, 9999).map(Number))
    out += [(key, draw(extra)) for key in draw(st.lists(st.sampled_from(_EXTRA_KEYS), max_size=2, unique=True))]
    return tuple(out)  # type: ignore[arg-type]


@st.composite
def noise(draw: st.DrawFn, *, nul: bool = True) -> Entry:
    """A log call that is no event, with hostile text in its message and its fields.

    The message begins with a word of its own: one that is ``connection_log`` and the fields of an event, by the
    logger coderd, prints the very bytes of an event, and nobody can tell.
    """
    hostile = texts(nul=nul)
    keys = draw(
        st.lists(
            st.sampled_from(["error", "stderr", "output", "ID", "Type", "msg", "ConnectionStatus"]),
            max_size=3,
            unique=True,
        )
    )
    value = st.one_of(hostile.map(Text), st.just(Mapping(b'{"connection_log":{"ID":"a b"}}')), st.just(Code(None)))
    fields = tuple((key, draw(value)) for key in keys)
    logger, message = draw(
        st.one_of(
            st.tuples(
                st.sampled_from([("coderd",), ("coderd", "agentapi"), ("x",), ()]),
                hostile.map(lambda raw: b"output " + raw),
            ),
            st.tuples(st.sampled_from([("x",), ("coderd2",), ("my", "coderd"), ()]), st.just(b"connection_log")),
            st.just((("coderd",), b"connection_log_export")),
            st.just((("coderd",), b"connection_log:")),
            st.just((("coderd",), b"a connection_log")),
        )
    )
    return Entry(
        time="2026-08-10T16:20:07.5Z", fields=fields, level=draw(st.sampled_from(["info", "warn", "debug"])),
        logger=logger, message=message, func="main.lg",
    )  # fmt: skip


def strays() -> st.SearchStrategy[bytes]:
    """Lines in the stream that no logger wrote: banners, dumps, broken JSON, what looks like a wrapper."""
    return st.sampled_from([
        b"", b"   ", b"{", b"}", b"[", b"  }", b"{}", b"null", b'{"msg":"connection_log","broken', b'{"msg":"connection_log"}',
        b'{"message":"connection_log"}', b'{"log":"x\\n","stream":"stdout","time":"t"}', b'{"log":"half","stream":"stdout"}',
        b'{"__CURSOR":"s=1","MESSAGE":"hello connection_log"}', b'{"__CURSOR":"s=1","MESSAGE":null}',
        b"Jan 12 10:11:19 host coder[123]: connection_log started", b"2026-01-12T10:11:19.839Z stderr F connection_log",
        b"2026-01-12T10:11:19.839Z stderr P connection", b"[API] ", b"[API] {", b"coder-1  | {", b"goroutine 1 [running]:",
        b"\tmain.go:33 connection_log +0x1d", b"connection_log", b" connection_log  ID=x", b"   2026-08-10 16:20:06.557 [info]  coderd: x",
        b"2026-08-10 16:20:06.557 [info]  coderd: connection_log", b"2026-08-10 16:20:06.557 [info]  coderd: connection_log ...",
        b"2026-08-10 16:20:06.557 [info]  coderd: x connection_log ...", b"2026-08-10 16:20:06.557 [info]  coderd: ...  a=1",
        b"\x1b[0m", b"\xff\xfe", b"\x00\x00connection_log", b"x" * 70_000, b"    connection_log", b"    Key= connection_log",
        b'{"a":[[[[', b'  "msg": "connection_log",',
    ]).map(lambda line: line + b"\n")  # fmt: skip
