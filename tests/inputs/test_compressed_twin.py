"""A rotated file that nobody has read yet and its compressed copy beside it are one: its lines come once."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.inputs.conftest import Bench


def pack(path: Path, part: int = 100) -> Path:
    """What ``gzip`` leaves beside a file before it deletes it; of ``part`` percent it was cut off."""
    packed = path.with_name(path.name + ".gz")
    data = gzip.compress(path.read_bytes())
    packed.write_bytes(data[: len(data) * part // 100])
    status = path.stat()
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    return packed


@pytest.mark.parametrize("part", [100, 60])
@pytest.mark.parametrize("lines", [5, 3000])
def test_rotated_and_compressed_while_nobody_looked_the_original_still_there(
    bench: Bench, lines: int, part: int
) -> None:
    bench.write(1)
    bench.turn()
    bench.stop()
    bench.rotate_numbered()
    bench.write(lines)
    bench.rotate_numbered()
    first = bench.folder / "coderd.log.1"
    packed = pack(first, part)
    bench.write(1)
    bench.start()
    bench.turn()
    if part < 100:
        pack(first)
    first.unlink()
    bench.turn(5)
    assert sorted(bench.events) == list(range(bench.written))
    bench.restart()
    bench.turn(5)
    assert packed.exists()
    assert sorted(bench.events) == list(range(bench.written))
    assert not bench.gaps
