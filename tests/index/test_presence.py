"""The presence: it never denies a key that was taken in, and seldom speaks of one that was not."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from shipper.index import IndexWriter
from shipper.index.presence import Presence, id_number

COUNT = 60_000


def empty(tmp_path: Path) -> IndexWriter:
    return IndexWriter(tmp_path / "index.db")


def nothing() -> Iterator[list[int]]:
    return iter(())


@pytest.mark.parametrize("kind", ["random", "counting", "counting behind a time"])
def test_keys_that_are_new_are_seldom_taken_for_known_ones(tmp_path: Path, kind: str) -> None:
    packed = {
        "random": [os.urandom(16) for _ in range(COUNT)],
        "counting": [number.to_bytes(16, "big") for number in range(COUNT)],
        "counting behind a time": [
            struct.pack(">QQ", 1_767_225_600_000 << 16 | 0x7000, 2**63 + number) for number in range(COUNT)
        ],
    }[kind]
    writer = empty(tmp_path)
    presence = Presence(writer._database, "these", nothing, COUNT)
    keys = [id_number(one) for one in packed]
    assert len(presence.take(keys)) < COUNT // 100
    assert presence.take(keys) == [*range(COUNT)]
    writer.close()
