"""The tests' own wrappers write what the real ones wrote: all are made of the same events."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.render.wrapper import api, api_read, cri, crlf, docker, journal_texts, journald, syslog
from tests.truth.score import CORPUS, SAMPLES

FOLDER = CORPUS if CORPUS.is_dir() else SAMPLES / "corpus"
FORMS = ("human", "json")


def bare_of(form: str) -> bytes:
    """The stream inside all wrappers, taken out of the one that loses nothing."""
    return (FOLDER / f"wrap-crlf-{form}.log").read_bytes().replace(b"\r\n", b"\n")


def wrapped(name: str) -> bytes:
    return (FOLDER / f"wrap-{name}.log").read_bytes()


def blind(data: bytes, stamp: bytes) -> bytes:
    """Without the wrapper's own times, which come from a clock that the stream does not show."""
    return re.sub(stamp, b"T", data)


def test_prefixed_lines_are_those_of_the_corpus() -> None:
    """``[API] `` before each line, with and without the loss of leading blanks."""
    assert api(bare_of("human")) == wrapped("api-human")
    assert api_read(bare_of("human")) == wrapped("api-read-human")


@pytest.mark.parametrize("form", FORMS)
def test_cr_lf_lines_are_those_of_the_corpus(form: str) -> None:
    """What is inside the CR LF file wraps to the very file."""
    assert crlf(bare_of(form)) == wrapped(f"crlf-{form}")


@pytest.mark.parametrize("form", FORMS)
def test_container_lines_are_those_of_the_corpus(form: str) -> None:
    """Docker's and containerd's files, cut lines and bad bytes included, but for their clocks."""
    stamp = rb'"time":"[^"]*"\}(?=\n)'
    assert blind(docker(bare_of(form)), stamp) == blind(wrapped(f"docker-{form}"), stamp)
    stamp = rb"(?m)^\S+Z(?= stderr [PF] )"
    assert blind(cri(bare_of(form)), stamp) == blind(wrapped(f"cri-{form}"), stamp)


@pytest.mark.parametrize("form", FORMS)
def test_syslog_lines_are_those_of_the_corpus(form: str) -> None:
    """``journalctl -o short``, but for its clock."""
    stamp = rb"(?m)^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?= host coder\[123\]: )"
    assert blind(syslog(bare_of(form)), stamp) == blind(wrapped(f"syslog-{form}"), stamp)


@pytest.mark.parametrize("form", FORMS)
def test_journal_entries_are_those_of_the_corpus(form: str) -> None:
    """Each entry's MESSAGE, text or byte values, and the reason of its cut."""

    def parts(data: bytes) -> list[tuple[Any, Any]]:
        entries = [json.loads(line) for line in data.removesuffix(b"\n").split(b"\n")]
        return [(entry["MESSAGE"], entry.get("_LINE_BREAK")) for entry in entries]

    assert parts(journald(bare_of(form))) == parts(wrapped(f"journald-all-{form}"))
    assert len(list(journal_texts(bare_of(form)))) == wrapped(f"journald-all-{form}").count(b"\n")
