"""What carries coderd's lines: journald, syslog, Docker, Kubernetes and compose each wrap them in their own way.

A wrapper takes one physical line and gives the ``Piece`` of coderd's output inside, or None where the
line is not wrapped in its way. Facts: moby's json-file driver, the CRI log format (kubelet, containerd),
journalctl -o json of systemd 252, journalctl -o short.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import orjson
from msgspec import Struct

from shipper.pattern import pattern
from shipper.record import JsonValue
from shipper.text import decode


class Piece(Struct, gc=False):
    """A part of coderd's output. ``joint`` is what stands between it and the next piece of ``stream``:
    None at the end of a line, ``b""`` or ``b"\\0"`` where the wrapper cut a line. ``lost`` says why the
    text can't be had."""

    text: bytes
    stream: str = ""
    joint: bytes | None = None
    cursor: str | None = None
    meta: dict[str, JsonValue] = {}
    lost: str | None = None


_HEAD_BYTES = 65_536
_BEGINNINGS = (b'{"log":"', b'{"__CURSOR":"')
Unwrap = Callable[[bytes], Piece | None]

_cri_head = pattern(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S{0,16}) (stdout|stderr) ([PF])(?::\S*)? ?")
_syslog_head = pattern(
    rb"(?:<\d{1,3}>)?(?:\d )?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S{0,16}) "
    rb"(\S{1,255}) ([^\s:\[\]]{1,64})(?:\[(\d{1,10})\])?:(?: |$)"
)
_prefix_head = pattern(rb"(?:\[[^\]\s]{1,128}\] |[A-Za-z0-9][A-Za-z0-9_.-]{0,127} +\| ?)")
_match_header = re.compile(rb"(?:\x1b\[[0-9;]*m)*\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}").match
_inner_event = pattern(
    rb'\\"(?:msg|message)\\"\s*+:\s*+\\"connection_log\\"|coderd(?:\.[^\s:"]{1,256})?: connection_log(?: |"|\\n)'
    rb"|99,111,110,110,101,99,116,105,111,110,95,108,111,103"
)
"""An event inside a text or a list of bytes that JSON carries."""
_journald_mark = pattern(rb'"(?:__REALTIME_TIMESTAMP|__CURSOR)"\s*+:')


def _docker(line: bytes) -> Piece | None:
    top = _object(line)
    text = top.get("log") if top is not None else None
    if top is None or type(text) is not str or "msg" in top or "message" in top:
        return None  # a bare line of coderd's may have a field of that name too, but Docker has no message beside it
    stream = top.get("stream")
    meta: dict[str, JsonValue] = {"stream": stream} if type(stream) is str else {}
    if type(top.get("attrs")) is dict:
        meta["attrs"] = top["attrs"]
    whole = text.endswith("\n")
    raw = _encode(text[:-1] if whole else text)
    return Piece(raw, str(stream), None if whole else b"", None, meta)


def _cri(line: bytes) -> Piece | None:
    found = _cri_head.match(line)
    if found is None:
        return None
    stream = found[2].decode()
    return Piece(line[found.end() :], stream, None if found[3] == b"F" else b"", None, {"stream": stream})


_JOURNAL_META = {
    "_SYSTEMD_UNIT": "unit",
    "SYSLOG_IDENTIFIER": "identifier",
    "_PID": "pid",
    "_HOSTNAME": "hostname",
    "_BOOT_ID": "boot_id",
    "CONTAINER_NAME": "container",
    "CONTAINER_ID": "container_id",
}
_LINE_BREAKS = {"line-max": b"", "nul": b"\0"}


def _journald(line: bytes) -> Piece | None:
    if _journald_mark.search(line) is None:
        return None
    top = _object(line)
    if top is None or "MESSAGE" not in top or ("__CURSOR" not in top and "__REALTIME_TIMESTAMP" not in top):
        return None
    meta = {ours: top[theirs] for theirs, ours in _JOURNAL_META.items() if type(top.get(theirs)) is str}
    cursor = top.get("__CURSOR")
    if type(top.get("CONTAINER_ID")) is str:
        # Docker's driver writes for all its containers, and marks their two streams by the priority alone.
        stream = f"{top['CONTAINER_ID']} {top.get('PRIORITY')}"
    else:
        stream = str(top.get("_STREAM_ID") or f"{top.get('_SYSTEMD_UNIT')} {top.get('_PID')}")
    joint = _LINE_BREAKS.get(str(top.get("_LINE_BREAK")))
    if joint is None and top.get("CONTAINER_PARTIAL_MESSAGE") == "true" and top.get("CONTAINER_PARTIAL_LAST") != "true":
        joint = b""
    text, lost = _message(top.get("MESSAGE"))
    if lost is not None:
        names = [str(meta[name]) for name in ("unit", "identifier", "container") if name in meta]
        if names and not any("coder" in name.lower() for name in names):
            return Piece(b"", stream, None, cursor if type(cursor) is str else None, meta)  # another program's
        return Piece(line, stream, None, cursor if type(cursor) is str else None, meta, lost)
    return Piece(text, stream, joint, cursor if type(cursor) is str else None, meta)


def _message(value: JsonValue) -> tuple[bytes, str | None]:
    """The bytes of MESSAGE and why they can't be had: text, a list of byte values where it is no clean text, or a
    list of several of these, of which the one with an event is taken."""
    text = _one_message(value)
    if text is not None:
        return text, None
    several = [_one_message(one) for one in value] if type(value) is list else []
    texts = [one for one in several if one is not None]
    if not texts:
        return b"", "journald gave no MESSAGE: without --all, journalctl leaves out a text of 4096 bytes and more"
    events = [one for one in texts if b"connection_log" in one]
    if len(events) > 1:
        return b"", "journald gave several MESSAGE fields with an event in one entry"
    return (events or texts)[0], None


def _one_message(value: JsonValue) -> bytes | None:
    if type(value) is str:
        return _encode(value)
    if type(value) is list and value:
        try:
            return bytes(value)
        except (TypeError, ValueError):
            return None
    return None


def _syslog(line: bytes) -> Piece | None:
    found = _syslog_head.match(line)
    if found is None:
        return None
    host, name, pid = (decode(part) if part else None for part in found.groups())
    meta: dict[str, JsonValue] = {"hostname": host, "identifier": name}
    if pid:
        meta["pid"] = pid
    return Piece(line[found.end() :], f"{host} {name} {pid}", None, None, meta)


def _prefix(line: bytes) -> Piece | None:
    found = _prefix_head.match(line)
    if found is None:
        return None
    name = decode(found[0]).strip(" |")
    return Piece(line[found.end() :], name, None, None, {"prefix": name})


def _object(line: bytes) -> dict[str, JsonValue] | None:
    # At column 0 and nowhere else: behind blanks stands the text of somebody's many-line field.
    if line[:1] != b"{":
        return None
    try:
        top = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return top if type(top) is dict else None


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")


WRAPPERS: dict[str, Unwrap] = {
    "docker": _docker,
    "cri": _cri,
    "journald": _journald,
    "syslog": _syslog,
    "prefix": _prefix,
}
"""Every wrapper by name."""


def recognise(line: bytes) -> str | None:
    """The wrapper that this physical line is in, None where it is in none."""
    first = line[:1]
    if first == b"{":
        if line.startswith(b'{"log":"'):
            return "docker" if _docker(line) is not None else None
        return "journald" if _journald(line) is not None else None
    if _match_header(line) is not None:
        return None
    if _cri_head.match(line) is not None:
        return "cri"
    if _syslog_head.match(line) is not None:
        return "syslog"
    found = _prefix_head.match(line)
    if found is not None and (_match_header(line, found.end()) is not None or line.startswith(b'{"', found.end())):
        return "prefix"
    return None


def begun(line: bytes, mode: str, most: int, *, auto: bool) -> Piece:
    """What the beginning of a line tells that is given up because it is too long: the text inside, of as many bytes as
    are asked for, if its wrapper can be taken off, else the line itself. Of a wrapper of JSON one can only tell whether
    it speaks of an event; then it is ``lost``. ``mode`` names the wrapper, empty where none was met yet."""
    name = mode or (recognise(line[:most]) if auto else None)
    piece = WRAPPERS[name](line[:most]) if name else None
    if piece is not None:
        return piece
    head = line[:_HEAD_BYTES]
    json = auto and head[:1] == b"{" and (head.startswith(b'{"log":"') or _journald_mark.search(head) is not None)
    return Piece(line, lost="a wrapped line" if (mode or json) and b"connection_log" in head else None)


def torn(line: bytes, mode: str, *, first: bool) -> str | None:
    """Why the text of a line can't be had that is no whole JSON, was begun by a wrapper that writes JSON, and has an event
    in it: the machine may have stopped while it was written. None for every other line. ``mode`` names the wrapper; of a
    ``first`` line its beginning tells."""
    ours = line[:1] == b"{" and (mode in ("docker", "journald") or (first and line.startswith(_BEGINNINGS)))
    if not ours or _inner_event.search(line) is None or _object(line) is not None:
        return None
    return "the line of the wrapper around an event is broken"
