"""What carries coderd's lines on the way: each wrapper takes the bytes of one record and gives those in the file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from tests.render.golang import json_string

PIECE_BYTES = 16_384
"""Docker and containerd cut a line into pieces of this size."""
JOURNAL_LINE_BYTES = 49_152
"""journald cuts a line here (LineMax=48K)."""
_TIME = b"2026-01-12T10:11:19.839000001Z"
_SYSLOG = b"Jan 12 10:11:19 host coder[123]: "
_BLANK = b" \t\r\n"


def bare(record: bytes) -> bytes:
    """No wrapper."""
    return record


def crlf(record: bytes) -> bytes:
    """Lines end in CR LF."""
    return record.replace(b"\n", b"\r\n")


def api(record: bytes) -> bytes:
    """``[API] `` before each line, as the documentation shows it."""
    return b"".join(b"[API] " + line + b"\n" for line in _lines(record))


def api_read(record: bytes) -> bytes:
    """The same by ``while read -r line``: blanks at both ends of a line are gone, and NULs."""
    return b"".join(b"[API] " + line.replace(b"\0", b"").strip(b" \t") + b"\n" for line in _lines(record))


def compose(record: bytes) -> bytes:
    """As docker compose shows it."""
    return b"".join(b"coder-1  | " + line + b"\n" for line in _lines(record))


def docker(record: bytes, time: bytes = _TIME) -> bytes:
    """Docker's json-file."""
    out = b""
    for line in _lines(record):
        for piece in _cut(line + b"\n"):
            out += b'{"log":' + _docker_string(piece) + b',"stream":"stderr","time":"' + time + b'"}\n'
    return out


def cri(record: bytes, time: bytes = _TIME) -> bytes:
    """Kubernetes: the log format of CRI, as containerd writes it."""
    out = b""
    for line in _lines(record):
        pieces = list(_cut(line)) or [b""]
        for at, piece in enumerate(pieces):
            out += time + b" stderr " + (b"F" if at == len(pieces) - 1 else b"P") + b" " + piece + b"\n"
    return out


def syslog(record: bytes, head: bytes = _SYSLOG) -> bytes:
    """``journalctl -o short -a`` of what journald read from a stream."""
    return b"".join(head + text + b"\n" for text, _ in journal_texts(record))


def journald(record: bytes) -> bytes:
    """``journalctl -o json --all`` of the same."""
    out = b""
    for text, cut in journal_texts(record):
        entry: dict[str, object] = {
            "__CURSOR": "s=0;i=1",
            "_SYSTEMD_UNIT": "coder.service",
            "_PID": "123",
            "_STREAM_ID": "bd14e1c1c59846eaa6a6fe8671a17ce1",
            "MESSAGE": _message(text),
            "__REALTIME_TIMESTAMP": "1768212679839180",
        }
        if cut:
            entry["_LINE_BREAK"] = cut
        out += json.dumps(entry, ensure_ascii=False).encode() + b"\n"
    return out


WRAPPERS: dict[str, Callable[[bytes], bytes]] = {
    "bare": bare, "crlf": crlf, "api": api, "compose": compose, "docker": docker, "cri": cri, "syslog": syslog,
    "journald": journald,
}  # fmt: skip
"""Those from which a reader can get everything back, but for what ``journal_texts`` says."""


def journal_texts(record: bytes) -> Iterator[tuple[bytes, str]]:
    """What journald stores of a record's lines: blanks at the end gone (lines of nothing else kept), empty ones
    dropped, cut at NUL and at the greatest length; each with the reason of the cut."""
    for line in _lines(record):
        parts = line.split(b"\0")
        for at, part in enumerate(parts):
            cut = "nul" if at < len(parts) - 1 else ""
            while len(part) > JOURNAL_LINE_BYTES:
                yield _stripped(part[:JOURNAL_LINE_BYTES]), "line-max"
                part = part[JOURNAL_LINE_BYTES:]
            if part:
                yield _stripped(part), cut


def _docker_string(piece: bytes) -> bytes:
    """Docker's own encoder: of the short escapes only those of LF and CR."""
    short = {b"t": b"\\u0009", b"b": b"\\u0008", b"f": b"\\u000c"}
    return re.sub(rb"\\(.)", lambda found: short.get(found[1], found[0]), json_string(piece))


def _stripped(text: bytes) -> bytes:
    return text.rstrip(_BLANK) or text


def _message(text: bytes) -> str | list[int]:
    try:
        clean = text.decode()
    except UnicodeDecodeError:
        return list(text)
    return list(text) if re.search(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]", clean) else clean


def _lines(record: bytes) -> list[bytes]:
    return record.removesuffix(b"\n").split(b"\n")


def _cut(line: bytes) -> Iterator[bytes]:
    for at in range(0, len(line), PIECE_BYTES):
        yield line[at : at + PIECE_BYTES]
