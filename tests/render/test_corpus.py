"""The tests' own renderer writes what the real logger wrote, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.render.entry import Entry
from tests.render.human import ANSI256, NO_TERM, TRUECOLOR, Paint, human
from tests.render.jsonlike import json, json_beside_human, stackdriver
from tests.render.truth import entry_of
from tests.truth.score import CORPUS, SAMPLES, truths

FOLDER = CORPUS if CORPUS.is_dir() else SAMPLES / "corpus"
FILES = sorted(path for path in FOLDER.glob("*.log") if path.name.startswith(("human-", "json-", "stackdriver-")))
PAINTS = {"human-seed-color": TRUECOLOR, "human-new-color": ANSI256, "human-v3-color-noterm": NO_TERM}


def paint_of(path: Path) -> Paint | None:
    return PAINTS.get(path.stem)


def rendered(path: Path, entry: Entry) -> list[bytes]:
    """What the sink of this file may have written of an entry: one text, or one for either sampling flag."""
    era = path.stem.split("-")[1]
    if path.name.startswith("human"):
        return [human(entry, era, paint_of(path))]
    if path.stem == "json-seed-twosinks":
        return [json_beside_human(entry, era)]
    if path.name.startswith("json"):
        return [json(entry, era)]
    # Whether a span was sampled is not in the truth: either is right.
    return [stackdriver(replace(entry, sampled=flag), era) for flag in (True, False)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_event_of_the_corpus_renders_to_its_own_bytes(path: Path) -> None:
    """From the truth alone, each event comes out as the very bytes at its place in the log."""
    data = path.read_bytes()
    held, wrong = 0, []
    for truth in truths(path):
        there = data[truth["offset"] : truth["offset"] + truth["length"]]
        texts = rendered(path, entry_of(truth))
        held += 1
        if there not in texts:
            wrong.append(f"line {truth['line']}: {there!r} is not {texts[0]!r}")
    assert not wrong, f"{len(wrong)} of {held}: {wrong[0]}"
    assert held
