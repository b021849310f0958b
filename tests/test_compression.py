"""Compressed files come out as the bytes that went in, to the last sound one, and no further than allowed."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from shipper.compression import PIECE_BYTES, read_again, read_pieces
from shipper.errors import InputError

PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.compress,
}
PLAIN = b"".join(b"line %d of something that compresses\n" % number for number in range(30_000))


@pytest.fixture(params=sorted(PACK))
def ending(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_what_went_in_comes_out(tmp_path: Path, ending: str) -> None:
    """One member or several, with padding behind them."""
    file = tmp_path / f"log{ending}"
    file.write_bytes(PACK[ending](PLAIN))
    assert b"".join(read_pieces(str(file))) == PLAIN
    file.write_bytes(PACK[ending](PLAIN[:1000]) + PACK[ending](PLAIN[1000:]) + bytes(512))
    assert b"".join(read_pieces(str(file))) == PLAIN


def test_a_cut_file_gives_what_is_sound_and_says_so(tmp_path: Path, ending: str) -> None:
    """All that a decoder can tell of a file that is still being written is given before the error."""
    packed = PACK[ending](PLAIN)
    file = tmp_path / f"log{ending}"
    file.write_bytes(PACK[ending](PLAIN[:5000]) + packed[: len(packed) // 2])
    given: list[bytes] = []
    with pytest.raises(InputError, match="ends too early"):
        given.extend(read_pieces(str(file)))
    whole = b"".join(given)
    assert len(whole) >= 5000
    assert whole == (PLAIN[:5000] + PLAIN)[: len(whole)]


def test_a_damaged_file_is_an_error_with_its_name(tmp_path: Path, ending: str) -> None:
    """Never a traceback, never silence."""
    file = tmp_path / f"log{ending}"
    file.write_bytes(b"this is not compressed at all, and long enough to be looked at")
    with pytest.raises(InputError, match=f"log{ending}"):
        list(read_pieces(str(file)))


def test_a_bomb_stops_at_the_limit(tmp_path: Path, ending: str) -> None:
    """A megabyte of packed zeros is not read to its end, and no piece is much larger than the others."""
    file = tmp_path / f"log{ending}"
    file.write_bytes(PACK[ending](bytes(64 * 1024**2)))
    given: list[bytes] = []
    with pytest.raises(InputError, match="expands to more than"):
        given.extend(read_pieces(str(file), expanded_max_bytes=40 * 1024**2))
    assert 0 < sum(map(len, given)) <= 40 * 1024**2
    assert max(map(len, given)) <= 32 * 1024**2


def test_a_missing_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    """The name and the system's words."""
    with pytest.raises(InputError, match=r"nothing: No such file"):
        list(read_pieces(str(tmp_path / "nothing")))


def test_a_plain_file_is_read_again_from_where_it_was_of_use(tmp_path: Path) -> None:
    """Lines of any length come whole, though nobody keeps what is left of a piece; a growing file is read to its end."""
    file = tmp_path / "log"
    lines = [
        b"%d" % number * size + b"\n" for number, size in enumerate((1, 5, PIECE_BYTES, 9, 700_000, 3, 65_533) * 3)
    ]
    whole = b"".join(lines) + b"no end"
    file.write_bytes(whole[:1_000_000])
    found: list[bytes] = []
    longest, done = 0, [0]
    for piece in read_again(str(file), lambda: sum(done)):
        if not found:
            file.write_bytes(whole)
        end = piece.rfind(b"\n") + 1
        found += piece[:end].splitlines(keepends=True)
        done.append(end)
        longest = max(longest, len(piece))
    assert found == lines
    assert longest < 4 * max(map(len, lines))


def test_a_folder_is_no_plain_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="directory"):
        list(read_again(str(tmp_path), int))
