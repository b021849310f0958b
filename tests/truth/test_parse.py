"""``connlog parse`` prints what the extractor gives, for every file of the corpus."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.truth.corpus import SMALL, WHOLE, name_of
from tests.truth.reading import read


def run(*paths: Path, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "shipper", "parse", *map(str, paths)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=100)


@pytest.mark.parametrize("path", WHOLE or SMALL, ids=name_of)
def test_the_command_prints_the_records_of_a_file(path: Path) -> None:
    """One line of JSON an event, in order, and one complaint a malformed entry, with its place; the exit code tells."""
    done = run(path)
    expected = read(path.read_bytes())
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line in lines:
        line["source"] = {**line["source"], "host": None, "input": None, "path": "x"}
    assert [{**record, "names": None} for record in lines] == [{**record, "names": None} for record in expected.records]
    assert [list(line) for line in lines] == [list(record) for record in expected.records]
    assert done.returncode == (1 if expected.malformed else 0)
    for bad in expected.malformed:
        assert f"{path}:{bad['line']}:{bad['column']}: " in done.stderr.decode()


def test_standard_input_is_read_as_a_file_is() -> None:
    """Without a path, with ``-``, and with several files one after the other."""
    by_path, by_pipe = run(SMALL[0]), run(stdin=SMALL[0].read_bytes())
    blind = [{**json.loads(line), "source": None} for line in by_path.stdout.splitlines()]
    assert [{**json.loads(line), "source": None} for line in by_pipe.stdout.splitlines()] == blind
    both = run(SMALL[0], SMALL[1])
    assert both.stdout == run(SMALL[0]).stdout + run(SMALL[1]).stdout
