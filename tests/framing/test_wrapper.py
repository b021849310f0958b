"""Wrappers are told from what merely looks like one, and give back the bytes that they carry."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.framing.wrapper import WRAPPERS, recognise
from tests.property.hostile import texts
from tests.render import wrapper as render
from tests.render.golang import runes

HUMAN = b"2026-01-12 10:11:26.102 [info]  coderd: connection_log  ID=a"
JSON = b'{"ts":"2026-01-12T10:11:26Z","msg":"connection_log"}'
CARRIED = {
    "docker": render.docker,
    "cri": render.cri,
    "journald": render.journald,
    "syslog": render.syslog,
    "prefix": render.api,
}
LINES = texts(nul=False).map(lambda raw: raw.replace(b"\n", b"").strip(b" \t\r") or b"x")


@pytest.mark.parametrize("line", [HUMAN, JSON])
@pytest.mark.parametrize("name", CARRIED)
def test_each_wrapper_is_recognised_by_one_line(name: str, line: bytes) -> None:
    """A line of coderd's in any wrapper tells which it is in."""
    assert recognise(CARRIED[name](line + b"\n").rstrip(b"\n")) == name


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"<30>Jan  2 10:11:19 host coder[123]: x", "syslog"), (b"<30>1 2026-01-12T10:11:19Z host coder: x", "syslog"),
        (b"2026-01-12T10:11:19.839000+00:00 host coder[123]: x", "syslog"), (b"Jan 12 10:11:19 host coder:", "syslog"),
        (b"2026-01-12T10:11:19.839000001Z stdout P x", "cri"), (b"2026-01-12T10:11:19.839+01:00 stderr F ", "cri"),
        (b"coder-1  | " + HUMAN, "prefix"), (b"[API] " + JSON, "prefix"), (b"[API] \x1b[0m" + HUMAN, "prefix"),
    ],
)  # fmt: skip
def test_other_spellings_of_a_wrapper(line: bytes, name: str) -> None:
    """What other versions and other tools write in front of a line."""
    assert recognise(line) == name


@pytest.mark.parametrize(
    "line",
    [
        b"", b"x", b"{", b"{}", HUMAN, JSON, b"\x1b[0m" + HUMAN, b"    " + HUMAN, b"    [API] " + HUMAN, b"[API] hello", b"[API]" + HUMAN,
        b"a | b", b'{"log":7}', b'{"log":"x', b'{"a":{"log":"x","stream":"y"}}', b'{"fields":{"__CURSOR":"s","MESSAGE":"x"}}',
        b'{"a":"\\"__CURSOR\\":1"}', b"Jan 12 10:11:19 host coder[x]: y", b"2026-01-12T10:11:19Z stdlog F x", b"2026-01-12T10:11:19Z stderr X x",
        b"2026-01-12T10:11:19Z x", b"goroutine 1 [running]:", b"\xff\xfe", b"\0" * 99, b"[" * 10_000, b'{"a":' * 10_000,
    ],
)  # fmt: skip
def test_what_is_in_no_wrapper(line: bytes) -> None:
    """Bare lines, halves of wrappers, and wrappers inside values."""
    assert recognise(line) is None


@given(LINES, st.sampled_from(["docker", "cri", "syslog", "prefix"]))
def test_a_line_comes_back_as_it_was(line: bytes, name: str) -> None:
    """Any bytes without NUL and newline, but for Docker's replacement of those that are no text."""
    carried = CARRIED[name](line + b"\n").split(b"\n")[0]
    piece = WRAPPERS[name](carried)
    assert piece is not None
    true = (
        line
        if name != "docker"
        else b"".join(r.encode() if isinstance(r, str) else b"\xef\xbf\xbd" for r in runes(line))
    )
    assert piece.text == true[: render.PIECE_BYTES] if len(line) >= render.PIECE_BYTES else piece.text == true


@given(LINES)
def test_a_journal_entry_comes_back_as_its_bytes(line: bytes) -> None:
    """Text or a list of byte values, whichever journalctl writes."""
    piece = WRAPPERS["journald"](render.journald(line + b"\n").split(b"\n")[0])
    assert piece is not None
    assert piece.text == line[: render.JOURNAL_LINE_BYTES]
    assert piece.meta["unit"] == "coder.service"


@pytest.mark.parametrize(
    "message", ["null", "7", "true", "{}", "[]", '["x"]', "[256]", "[-1]", "[1.5]", '[[104,105],"x"]', '["hi",[104]]']
)
def test_an_odd_message_does_no_harm(message: str) -> None:
    """What journalctl may write for a field that is missing, long or repeated, and what it never writes."""
    line = f'{{"__CURSOR":"s","MESSAGE":{message}}}'.encode()
    piece = WRAPPERS["journald"](line)
    assert piece is not None
    if piece.lost is None:
        assert piece.text in (b"hi", b"x")
    else:
        assert piece.text == line, "what has no text is kept as it is"


@given(st.binary(max_size=200), st.sampled_from(sorted(WRAPPERS)))
def test_no_line_is_an_error(line: bytes, name: str) -> None:
    """Any bytes are in a wrapper or not."""
    piece = WRAPPERS[name](line)
    assert piece is None or isinstance(piece.text, bytes)
    assert recognise(line) in {None, *WRAPPERS}


# -> tests/framing/test_wrapper.py


@pytest.mark.parametrize("blank", [b" ", b"    ", b"\t", b"\r"])
@pytest.mark.parametrize("name", CARRIED)
def test_an_indented_line_is_in_no_wrapper(name: str, blank: bytes) -> None:
    """Every wrapper begins at column 0; what stands behind blanks is a value's own text, and may be forged."""
    line = blank + CARRIED[name](HUMAN + b"\n").rstrip(b"\n")
    assert WRAPPERS[name](line) is None
    assert recognise(line) is None


def test_a_message_nested_beyond_reason_does_no_harm() -> None:
    """Lists inside lists are no text."""
    line = b'{"__CURSOR":"s","MESSAGE":' + b"[" * 1000 + b"]" * 1000 + b"}"
    piece = WRAPPERS["journald"](line)
    assert piece is not None
    assert piece.lost is not None


@pytest.mark.parametrize(
    ("message", "text", "lost"),
    [
        ('["other","x connection_log y"]', b"x connection_log y", False),
        ('["connection_log 1","connection_log 2"]', None, True),
        ('["one","two"]', b"one", False),
    ],
)
def test_of_several_messages_the_one_with_an_event_is_taken(message: str, text: bytes | None, lost: bool) -> None:
    """And where more than one has, the entry is told as lost, not silently halved."""
    line = f'{{"__CURSOR":"s","MESSAGE":{message}}}'.encode()
    piece = WRAPPERS["journald"](line)
    assert piece is not None
    assert piece.text == (line if text is None else text)
    assert (piece.lost is not None) == lost


@pytest.mark.parametrize(
    ("names", "lost"),
    [
        ("", True), ('"_SYSTEMD_UNIT":"coder.service",', True), ('"_SYSTEMD_UNIT":"docker.service","CONTAINER_NAME":"coder-1",', True),
        ('"_SYSTEMD_UNIT":"sshd.service",', False), ('"SYSLOG_IDENTIFIER":"kernel",', False),
    ],
)  # fmt: skip
def test_a_missing_message_is_told_of_coders_entries_alone(names: str, lost: bool) -> None:
    """What journalctl left out of another unit's entry is nobody's loss here."""
    piece = WRAPPERS["journald"](f'{{{names}"__CURSOR":"s","MESSAGE":null}}'.encode())
    assert piece is not None
    assert (piece.lost is not None) == lost
