"""Every key of a TOML text is found on the line where it stands, whatever stands around it."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shipper.config.place import Key, lines_of

SAMPLE = (
    """\
# [not] = "a table"
title = "has [brackets] # and a sign" # "comment"

[state]
dir = 'C:\\raw' ; """.replace(" ; ", "")
    + '''
"quoted \\" key".'dotted' = 1

[[input]]  # first
paths = [ # [
  "a]", # ]
  "b,",

  [1, { x = 1, y = "}" }],
]
text = """
[[input]]
dir = "no key" \\"""
"""
[[input]]
raw = \'\'\'
[state]\'\'\'
at = 2026-01-12T10:00:00Z
[input.sub]
key = true
[[ input.sub.deep ]]
key = 1
[[input.sub.deep]]
key = 2
'''
)


def test_keys_of_every_form_are_found() -> None:
    tomllib.loads(SAMPLE)
    lines = lines_of(SAMPLE)
    expected: dict[Key, int] = {
        ("title",): 2,
        ("state",): 4,
        ("state", "dir"): 5,
        ("state", 'quoted " key', "dotted"): 6,
        ("input", 1): 8,
        ("input", 1, "paths"): 9,
        ("input", 1, "paths", 1): 10,
        ("input", 1, "paths", 2): 11,
        ("input", 1, "paths", 3): 13,
        ("input", 1, "paths", 3, 2, "y"): 13,
        ("input", 1, "text"): 15,
        ("input", 2): 19,
        ("input", 2, "raw"): 20,
        ("input", 2, "at"): 22,
        ("input", 2, "sub"): 23,
        ("input", 2, "sub", "key"): 24,
        ("input", 2, "sub", "deep", 2, "key"): 28,
    }
    assert {key: lines.get(key) for key in expected} == expected
    assert ("input", 1, "dir") not in lines


def _write(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_write(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_write(item) for item in value) + "]"
    return _string(value) if isinstance(value, str) else str(value).lower()


def _string(text: str) -> str:
    return '"' + "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in text) + '"'


def _key(name: str) -> str:
    return name if name.isascii() and name.isalnum() else _string(name)


_names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_values = st.recursive(
    st.booleans() | st.integers(-(2**62), 2**62) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(_names, _values, max_size=4), min_size=1, max_size=4))
def test_each_key_of_a_generated_text_is_on_the_line_it_was_written_to(tables: list[dict[str, Any]]) -> None:
    text: list[str] = []
    expected: dict[Key, int] = {}
    for number, table in enumerate(tables, start=1):
        text.append("[[t]]")
        expected["t", number] = len(text)
        for name, value in table.items():
            text.append(f"{_key(name)} = {_write(value)} # [x]")
            expected["t", number, name] = len(text)
    joined = "\n".join(text)
    assert tomllib.loads(joined) == {"t": tables}
    lines = lines_of(joined)
    assert {key: lines.get(key) for key in expected} == expected
