"""What the intake hands over is sealed as it is read while the journal is kept for an output that wants it so, and only then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from shipper.config import Config, FileInput, SplunkHecOutput, State
from shipper.config.settings import IndexOutput
from shipper.inputs.input import Input
from shipper.journal import Batch, Journal, Piece
from shipper.journal.seal import SEGMENT_MAX_COUNT
from shipper.outputs.hec.wrapping import HecWrapping
from shipper.service.intake import open_readings
from shipper.service.outlet import write_for_outputs
from tests.service.conftest import json_line

LEFT_COUNT = 5
"""Events beside whole segments."""
COUNT = 2 * SEGMENT_MAX_COUNT + LEFT_COUNT
HEC = SplunkHecOutput(endpoints=("http://127.0.0.1:9",), token_file=Path("/nowhere"))


class Bench:
    """The files of a configuration as the intake opens them, a journal, and a clock of its own."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "coderd.log"
        self.log.touch()
        self.journal = Journal(folder / "journal.db")
        self.journal.register("splunk_hec")
        self.config = Config(None, State(folder), (FileInput(paths=(str(self.log),)),), ())
        self.written = self.appended = 0
        self._now = 0.0
        self.source = self.opened()

    def opened(self) -> Input:
        (reading,) = open_readings(self.config, self.journal, "host", lambda: None)
        return reading._make_input()

    def read(self) -> list[Piece]:
        """Write some events, and have them read; what they came in is in the journal."""
        with self.log.open("ab") as file:
            file.write(b"".join(json_line(self.written + number, None) for number in range(COUNT)))
        self.written += COUNT
        self._now += 60.0
        pieces: list[Piece] = []
        busy = True
        while busy:
            turn = self.source.turn(self._now, woken=True)
            busy = turn.busy
            pieces += self.keep(turn.batch)
        assert sum(piece.count for piece in pieces) == COUNT
        return pieces

    def keep(self, batch: Batch) -> Sequence[Piece]:
        self.appended += self.journal.append(batch).stored
        return batch.pieces

    def again(self) -> None:
        """As a reload does with files that it opens anew: from their positions in the journal."""
        self.keep(self.source.finish())
        self.source = self.opened()

    def close(self) -> None:
        self.keep(self.source.finish())
        self.journal.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(tmp_path)
    yield one
    one.close()


def baled(pieces: Sequence[Piece]) -> list[str]:
    """What whole segments are sealed for; each of them is, or none."""
    bales = [bale for piece in pieces for bale in piece.bales]
    assert sum(bale.count for bale in bales) == (COUNT - LEFT_COUNT if bales else 0)
    return sorted({bale.sealed.wrap for bale in bales})


def test_what_is_read_is_baled_while_the_journal_is_kept_for_a_collector(bench: Bench) -> None:
    """It follows each change of the journal's wrapping, also of files that stay open over it, and nothing is lost by one."""
    one, other = (HecWrapping("coder:connection_log", index) for index in ("main", "security"))
    for wrapping, wanted in ((None, []), (one, [one.name]), (None, []), (other, [other.name]), (one, [one.name])):
        bench.journal.write_for(wrapping, originals=False)
        for _ in range(2):
            assert baled(bench.read()) == wanted
    assert bench.appended == bench.written


def test_files_that_are_opened_anew_are_baled_for_what_the_journal_is_kept_for_then(bench: Bench) -> None:
    wrapping = HecWrapping("coder:connection_log", "main")
    for now in (wrapping, None, wrapping):
        bench.journal.write_for(now, originals=False)
        bench.again()
        assert baled(bench.read()) == ([] if now is None else [now.name])
    assert bench.appended == bench.written


def test_bales_and_originals_come_and_go_with_the_outputs_of_a_reload(bench: Bench) -> None:
    config = bench.config
    for outputs, sealed, kept in (
        ((HEC,), True, False),
        ((IndexOutput(),), False, True),
        ((IndexOutput(), HEC), True, True),
        ((), False, False),
    ):
        write_for_outputs(bench.journal, Config(None, config.state, config.inputs, outputs))
        pieces = bench.read()
        assert bool(baled(pieces)) == sealed
        assert sum(len(piece.originals) for piece in pieces) == (COUNT if kept else 0)
    assert bench.appended == bench.written
