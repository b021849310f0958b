"""No line makes the parser run away: lines of a megabyte, each of a kind that makes bad expressions slow.

Not a measure of speed: what takes seconds when time grows with the length of a line takes hours when it grows with its
square or worse, so a deadline of many times the one tells it from the other on any machine.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEGABYTE = 1_000_000
DEADLINE_SECONDS = 100

HUMAN = b"2026-01-12 10:11:26.102 [info]  coderd: connection_log  ID=0ea1cbd0-90bc-4d8d-bdce-9ead313fe07b"
JSON = b'{"ts":"2026-01-12T10:11:26Z","level":"INFO","msg":"connection_log","logger_names":["coderd"],"fields":{"ID":"a","X":'
PRETTY = b'{\n  "msg": "connection_log",\n  "logger_names": ["coderd"],\n  "fields": {"ID": "a"},\n'
KINDS: dict[str, bytes] = {
    "quotes": b'"', "backslashes": b"\\", "pairs of them": b'\\"', "equals": b"=", "blanks": b" ", "tabs": b"\t", "CRs": b"\r",
    "braces": b"{", "closing braces": b"}", "brackets": b"[", "digits": b"1", "dots": b".", "announcements": b" ...", "letters": b"a",
    "colours": b"\x1b[0m", "half colours": b"\x1b[", "long colour": b"\x1b[38;", "escapes": b"\\x41", "fields": b"  a=b",
    "same fields": b"  ID=a", "quoted fields": b'  a="b"', "quoted keys": b'  "a"=b', "cut keys": b'  "a', "JSON values": b'  a={"b c":1}',
    "quote pairs": b'""', "value with quotes": b'a"b"', "objects": b'{"a":', "lists": b"[[", "JSON keys": b'"ID":1,', "bad bytes": b"\xff",
    "NULs": b"\0", "wide runes": b"\xf0\x9f\x98\x80", "headers": b"2026-01-12 10:11:26.102 [info]  coderd: ", "needles": b"connection_log",
    "needles apart": b"connection_log ", "own keys": b" ID=", "prefixes": b"[API] ", "syslog": b"Jan 12 10:11:19 host coder[1]: ",
    "cursors": b'"__CURSOR":', "docker": b'{"log":"', "nil": b"<nil>", "msg": b'"msg":"connection_log",', "colons": b":", "pipes": b"a |",
}  # fmt: skip
LINES_OF_ONE: dict[str, bytes] = {
    "empty lines": b"\n", "blank lines": b"    \n", "braces": b"{\n", "closing braces": b"}\n", "braces and needles": b"{\n connection_log\n",
    "needles": b"connection_log\n", "blocks": b"    connection_log\n", "announcements": b"x connection_log ...\n",
    "unclosed documents": PRETTY, "CRs": b"\r\n", "heads": HUMAN + b" ...\n", "heads and empty lines": HUMAN + b" ...\n\n\n",
    "message heads": b"2026-01-12 10:11:26.102 [info]  coderd: ...\n", "prefixes": b"[API] {\n", "prefixed braces": b"[API] {\n[API]  connection_log\n",
    "Docker pieces": b'{"log":"connection_log","stream":"stderr"}\n', "CRI pieces": b"2026-01-12T10:11:19.839Z stderr P connection_log\n",
    "field of empty lines": b"\n", "field of blank lines": b"    \n", "field of needles": b"    connection_log\n",
    "new streams": b"x", "null entries": b'{"__CURSOR":"a","MESSAGE":null}\n',
}  # fmt: skip


WHOLE = [b"", HUMAN + b"  X=", HUMAN + b'  X="', HUMAN + b" ...\n    X= ", JSON + b'"']
"""What a megabyte follows."""
TENTH = [
    HUMAN, HUMAN + b"  ", HUMAN + b" ...\n    ", b"2026-01-12 10:11:26.102 [info]  coderd.", JSON, JSON[:-5], b"[API] ", b"connection_log",
    b"    connection_log", b"2026-01-12T10:11:19.839Z stderr F ", b"Jan 12 10:11:19 host coder[123]: " + HUMAN, b'{"log":"',
    b'{"__CURSOR":"a","MESSAGE":"', b"\x1b[0m" + HUMAN, b'{"message":"connection_log","timestampSeconds":1,', b"{\n  ",
]  # fmt: skip
"""What a tenth of it follows: enough for what is quadratic to be seen."""


def lines_of(kind: str) -> bytes:
    """Hostile lines of one kind behind each beginning that lets them reach another part of the parser."""
    run = (KINDS[kind] * (MEGABYTE // len(KINDS[kind]) + 1))[:MEGABYTE]
    return b"".join(
        [*(head + run + b"\n" for head in WHOLE), *(head + run[: MEGABYTE // 10] + b"\n" for head in TENTH)]
    )


def streams_of(kind: str) -> bytes:
    """A megabyte of one short line again and again."""
    if kind == "new streams":
        return b"".join(b"Jan 12 10:11:19 host%d coder[%d]: %s ...\n" % (at, at, HUMAN) for at in range(7000))
    line = LINES_OF_ONE[kind]
    if kind.startswith("field of "):
        # The first lines of a source are taken one by one; the field stands behind them.
        return b"x\n" * 20 + HUMAN + b" ...\n    X= y\n" + line * (MEGABYTE // len(line))
    return line * (MEGABYTE // len(line))


def keys_of(count: str) -> bytes:
    """An event of very many fields, each with a key of its own, and one of them twice."""
    return HUMAN + b"".join(b"  k%d=v" % at for at in range(int(count))) + b"  k1=w\n"


CODE = """
import sys
from tests.property import test_linear
from tests.truth.reading import read
name, size, *kinds = sys.argv[1:]
for kind in kinds:
    data = getattr(test_linear, name)(kind)
    step = int(size) or len(data)
    found = read(data, [step] * (len(data) // step), line_max_bytes=2_000_000)
    assert (found.bytes, found.lines) == (len(data), data.count(b"\\n")), kind
"""


def run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-c", CODE, *arguments], cwd=ROOT, timeout=DEADLINE_SECONDS, check=True)


def groups(kinds: dict[str, bytes]) -> list[list[str]]:
    """Kinds a process: starting one takes longer than most of them."""
    names = list(kinds)
    return [names[at : at + 8] for at in range(0, len(names), 8)]


@pytest.mark.parametrize("kinds", groups(KINDS), ids=", ".join)
def test_a_megabyte_of_one_thing_ends(kinds: list[str]) -> None:
    """Alone, in a header, as a key, as a value bare and quoted, in many lines, in JSON and in every wrapper."""
    run("lines_of", "0", *kinds)


@pytest.mark.parametrize("size", ["0", "4096"])
@pytest.mark.parametrize("kinds", groups(LINES_OF_ONE), ids=", ".join)
def test_a_megabyte_of_one_line_ends(kinds: list[str], size: str) -> None:
    """Lines that open what never closes, all at once and in small pieces."""
    run("streams_of", size, *kinds)


def test_a_line_of_very_many_fields_ends() -> None:
    """Keys are looked up, not searched for."""
    run("keys_of", "0", "100000")
