"""The bytes of a stored block are those in the database, however much of them is read at once."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.index.stored import FIRST_BYTES, Stored, Window

_place = st.integers(0, FIRST_BYTES * 2) | st.integers(FIRST_BYTES - 3, FIRST_BYTES + 3)


@given(_place, _place, st.none() | _place, st.sampled_from([0, 10, FIRST_BYTES, FIRST_BYTES + 1, FIRST_BYTES * 2]))
def test_slices_are_those_of_the_bytes(begin: int, end: int, last: int | None, length: int) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE blocks (id INTEGER PRIMARY KEY, data BLOB)")
    data = bytes(place * 7 % 251 for place in range(length))
    database.execute("INSERT INTO blocks VALUES (5, ?)", (data,))
    stored = Stored(database, 5)
    assert stored[begin:last] == data[begin:last]
    assert stored[:] == data
    low, high = sorted((min(begin, length), min(end, length)))
    assert Window(Stored(database, 5), low, high)[0:last] == data[low:high][0:last]
    database.close()


def test_a_block_that_went_is_told_of() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE blocks (id INTEGER PRIMARY KEY, data BLOB)")
    database.execute("INSERT INTO blocks VALUES (5, zeroblob(?))", (FIRST_BYTES + 1,))
    stored = Stored(database, 5)
    database.execute("DELETE FROM blocks")
    with pytest.raises(ValueError, match="no such row"):
        stored[:]
    with pytest.raises(sqlite3.Error):
        Stored(database, 5)
    database.close()
