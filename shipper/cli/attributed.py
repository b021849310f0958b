"""Attributed rows: those of an answer, with who was likely behind the sessions among them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from shipper.index.answer import Answer, Rows

if TYPE_CHECKING:
    from shipper.index.evidence import Row, Witness


class AttributedRows(Rows):
    """The rows of an answer, attributed as they are walked."""

    def __init__(self, rows: Rows, witness: Witness) -> None:
        self._rows, self._witness = rows, witness

    def release(self) -> None:
        self._rows.release()
        self._witness.release()

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return self._witness.rows(self._rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # both overloads of Sequence in one
        if isinstance(index, slice):
            return AttributedRows(self._rows[index], self._witness)
        return next(self._witness.rows([self._rows[index]]))


@contextmanager
def attributed(answer: Answer, path: Path, *, wanted: bool) -> Iterator[Answer]:
    """The answer of the index at ``path`` with attributed rows, or as it is where they are not wanted."""
    if not wanted:
        yield answer
        return
    from shipper.index.evidence import Witness

    witness = Witness(path)
    try:
        yield replace(answer, rows=AttributedRows(answer.rows, witness))
    finally:
        witness.close()
