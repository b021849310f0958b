"""One grammar, two speeds: the fast path and the grammar agree on every line, genuine, hostile or damaged."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shipper.parsing.human import HumanParser
from shipper.parsing.result import Parsed, Refused
from shipper.text import decode
from tests.property.hostile import events, noise
from tests.render.entry import ERAS, Entry, Text
from tests.render.human import human
from tests.truth.corpus import SMALL
from tests.truth.score import form_of, truths

SHARED = HumanParser()
"""One parser that has learned the shapes of all lines before, beside a new one for each line."""
QUIET = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
HEAD = "2025-07-03 06:57:16.144 [info]  coderd: connection_log"


def _genuine() -> list[str]:
    out = []
    for path in SMALL:
        if form_of(path) == "human" and path.name.startswith(("human-v", "human-seed.", "human-new.", "doc-")):
            data = path.read_bytes()
            out += [decode(data[t["offset"] : t["offset"] + t["length"]]).rstrip("\n") for t in truths(path)]
    return [text for text in out if text.startswith("20")]


GENUINE = _genuine()


def rendered(entry: Entry, era: str) -> str:
    return decode(human(entry, era).removesuffix(b"\n"))


texts = st.one_of(
    st.sampled_from(GENUINE),
    st.builds(rendered, st.one_of(events(), noise()), st.sampled_from(ERAS)),
)


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """A line with some places cut out, put in or changed."""
    text = draw(texts)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        over = at + draw(st.sampled_from([0, 0, 1, 1, 2, 40]))
        put = draw(
            st.sampled_from([
                "", " ", "  ", '"', "\\", "=", "\n", "\n    ", " ...", " ...\n    k= v", "\r", "\t", '\\"', "  a=b",
                '  "k"=v', "  ID=x", '  x={"a b":1}', "\\x41", "\\q", "\\ud800", "\\U00110000", "\\777", "\u0661", "\xa0", "\u2028", "\x1c", "\x85",
            ])
        )  # fmt: skip
        text = text[:at] + put + text[over:]
    return text


def plain(parsed: Parsed) -> Any:
    return {**msgspec.to_builtins(parsed), "beside": parsed.beside or {}}


def held_equal(text: str) -> bool:
    """Checks both ways, with a new parser and the shared one; tells whether the fast one took the line."""
    slow = SHARED.parse_slow(text)
    taken = False
    for parser in (HumanParser(), SHARED):
        for fast in (parser.parse_fast(text), parser.parse_fast(text)):
            if fast is not None:
                taken = True
                assert isinstance(slow, Parsed), slow
                assert plain(fast) == plain(slow)
    return taken


@given(texts)
@QUIET
def test_the_fast_path_gives_what_the_grammar_gives(text: str) -> None:
    """Whatever the fast path takes, a new one or one that learned from other lines, the grammar takes alike."""
    held_equal(text)


@given(damaged())
@QUIET
@example(f"{HEAD}  ID=a  ID=a")
@example(f"{HEAD}  ID=a  ID=b")
@example(f"{HEAD}  ID=a ...\n    ID= b")
@example(f"{HEAD}  ID=a ...\n    ID= a")
@example(f'{HEAD}  "a b"=c  a=d')
@example(f'{HEAD}  "a"=c  a=d')
@example(f"{HEAD} ID=a Type=ssh")
@example(f"{HEAD}  trace=0x1  span=c21b75496dccd98b")
@example(f"{HEAD}  ID=a ...\n    trace= c21b75496dccd98bd991d85de5c8b16e")
@example("2025-02-30 06:57:16.144 [info]  coderd: connection_log  ID=a")
@example("2025-07-03 06:57:16.144 [blah]  coderd: connection_log  ID=a")
def test_damaged_lines_are_the_same_to_both(text: str) -> None:
    """So it is with lines that were cut, glued together or changed in any place."""
    held_equal(text)


def test_the_fast_path_takes_every_genuine_event() -> None:
    """The samples' lines are what it is made for; only the page's sample with single blanks may go the other way."""
    left = [text for text in GENUINE if not held_equal(text)]
    assert len(GENUINE) > 20
    assert len(left) <= 1


@given(st.one_of(texts, damaged()))
@QUIET
def test_every_text_gets_a_verdict(text: str) -> None:
    """A text is an event, refused at a place inside it, or not ours; nothing is raised."""
    verdict = SHARED.parse(text)
    if isinstance(verdict, Refused):
        assert 0 <= verdict.at <= len(text)
        assert verdict.reason
    elif verdict is not None:
        assert len(verdict.keys) == len(verdict.values) == len(set(verdict.keys))


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    "key", ["tenant", "replica no", "\u043a\u043b\u044e\u0447", 'q"k', "x.y", "error:", "DisconnectReason"]
)
def test_the_key_of_many_lines_is_written_raw(key: str, era: str) -> None:
    """The sink quotes keys in the line, but not the one that stands before many lines; its length is in bytes."""
    entry = Entry("2026-01-12T10:11:26Z", (("ID", Text(b"a")), (key, Text(b"one\n  two\n\n    Key= x\nthree"))))
    found = HumanParser().parse(rendered(entry, era))
    assert isinstance(found, Parsed), found
    assert found.values == ["a", "one\n  two\n\n    Key= x\nthree"]
    assert found.keys in (("ID", key), ("ID", key.replace(" ", "_")))


@pytest.mark.parametrize(
    "text",
    [
        f'2026-01-12 10:11:25.000 [info]  http: GET  path="{HEAD}  ID=a"', f'2026-01-12 10:11:25.000 [info]  http: GET  path="\\"{HEAD}  ID=a"',
        f"2026-01-12 10:11:25.000 [info]  http: GET ...\n    body= x{HEAD}  ID=a", f"2026-01-12 10:11:25.000 [info]  http: GET  path={HEAD}  ID=a",
        f"somebody says {HEAD}  ID=a", f"2026-01-12 10:11:25.000 [info]  coderd: output {HEAD}  ID=a", f"2026-01-12 10:11:25.000 [info]  http: the {HEAD} was seen",
        f"{HEAD} batch=5 failed", f"{HEAD} ID=5 and more", f"{HEAD} of 5  ID=a",
    ],
)  # fmt: skip
def test_an_event_inside_a_text_is_not_ours(text: str) -> None:
    """A quoted value, a many-line field, the value of a field, or another message that begins alike."""
    assert HumanParser().parse(text) is None


def test_every_repetition_on_a_human_line_is_kept() -> None:
    """However often a key stands there."""
    found = HumanParser().parse(f"{HEAD}  ID=a  X=1  X=2  X=3 ...\n    X= 4")
    assert isinstance(found, Parsed)
    assert found.keys == ("ID", "X")
    assert found.beside == {"X": ["2", "3", "4"]}
