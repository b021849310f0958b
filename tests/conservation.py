"""Conservation: entries = stored + duplicates + malformed + not ours, for each source, in every piece and every journal.

The counters of a journal only grow, over all lives of the daemons that wrote it: what any of them lost count of shows
at the end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from shipper.journal import Piece

COUNTERS = "SELECT source, entries, stored, duplicates, malformed, not_ours, lookalikes FROM counters"


def assert_piece(piece: Piece) -> None:
    """What one turn gave of a source accounts for every entry, and for the text of every event."""
    assert piece.entries == len(piece.encoded) + len(piece.malformed) + piece.not_ours, piece.source
    assert len(piece.originals) == len(piece.encoded), piece.source
    assert piece.lookalikes <= piece.not_ours, piece.source


def assert_rows(rows: list[tuple[str, int, int, int, int, int, int]]) -> None:
    """The counters of a journal account for every entry."""
    for source, entries, stored, duplicates, malformed, not_ours, lookalikes in rows:
        assert entries == stored + duplicates + malformed + not_ours, (source, rows)
        assert min(stored, duplicates, malformed, not_ours) >= 0, (source, rows)
        assert lookalikes <= not_ours, (source, rows)


def assert_journal(path: Path) -> None:
    """The same of the journal at ``path``; no process writes to it."""
    with closing(sqlite3.connect(path, timeout=60)) as db:
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'counters'").fetchone():
            assert_rows(db.execute(COUNTERS).fetchall())


def journals_in(folder: Path) -> Iterator[Path]:
    """The journals of all state folders below ``folder``."""
    return folder.rglob("journal.db")
