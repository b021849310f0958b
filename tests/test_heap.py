"""The heap: SQLite's count of memory is off for a command that says so in time, and a late word changes nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

_ASK = """
import ctypes, sqlite3, _sqlite3
database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE t AS SELECT zeroblob(100000)")
used = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
used.restype = ctypes.c_int64
print(int(UNCOUNTED), int(used() == 0))
"""


def told(program: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", program + _ASK], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.skipif(sys.platform != "linux", reason="it is left alone on other systems")
def test_the_command_that_rebuilds_the_index_keeps_no_count() -> None:
    assert told("import shipper.cli.index; from shipper.heap import UNCOUNTED") == ["1", "1"]


def test_a_sqlite_that_is_in_use_is_left_alone() -> None:
    assert told("import sqlite3; sqlite3.connect(':memory:'); from shipper.heap import UNCOUNTED") == ["0", "0"]
