"""The replay: reads quarantined entries again, as today's parser does, and puts into the journal what it understands.

An entry leaves the quarantine in the transaction that appends its event. What still can't be read stays whole,
with today's reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch

from msgspec import Struct

from shipper.config import CoderApiInput, FileInput, JournaldInput
from shipper.config.inputs import Input
from shipper.framing.chain import Entry
from shipper.inputs.journalctl import matches_of
from shipper.journal import Mended, Quarantine, Quarantined, Renewed
from shipper.recognition import Recogniser
from shipper.record import Malformed, Record, Source

CHUNK_MAX_COUNT = 200
CHUNK_MAX_BYTES = 4 << 20
"""Entries that share a transaction: a running daemon waits no longer than that takes."""
RECOGNISERS_MAX_COUNT = 64
_CUT = "the entry is longer than "


class Replayed(Struct):
    """Counts: entries that became events, that turned out copies of stored ones, and that stay; ``queued`` events that
    an output had refused are to be sent to it again."""

    stored: int = 0
    duplicates: int = 0
    kept: int = 0
    queued: int = 0


class Replay:
    """Replays entries of ``quarantine``, each with the options of the input among ``inputs`` that names its file."""

    def __init__(self, quarantine: Quarantine, inputs: Sequence[Input]) -> None:
        self._quarantine = quarantine
        self._inputs = inputs
        self._recognisers: dict[tuple[str | None, str | None, str | None, str], Recogniser] = {}
        self._mended: list[Mended] = []
        self._renewed: list[Renewed] = []
        self._refused: list[Quarantined] = []
        self._drift: list[str] = []
        self._bytes = 0
        self.done = Replayed()
        """What was settled so far, also when ``run`` ends with an error."""

    def run(self, entries: Iterable[Quarantined]) -> Replayed:
        """Read each again. Raises StateFull, StateBusy, StateError; what was settled before that stays settled."""
        for kept in entries:
            if kept.output is not None and not kept.textless:
                self._refused.append(kept)
            else:
                self._read(kept)
            self._bytes += len(kept.entry.raw)
            if (
                len(self._mended) + len(self._renewed) + len(self._refused) >= CHUNK_MAX_COUNT
                or self._bytes >= CHUNK_MAX_BYTES
            ):
                self._settle()
        self._settle()
        return self.done

    def _read(self, kept: Quarantined) -> None:
        old = kept.entry
        recogniser = self._recogniser(kept)
        # What was cut, or has no text any more, might be taken for a shorter event that nobody logged.
        whole = not kept.textless and kept.output is None and not old.reason.startswith(_CUT)
        verdict: Record | Malformed | None = None
        if whole:
            meta, cursor = old.source.meta, old.source.cursor
            verdict = recogniser.verdict(Entry(old.raw, old.source.offset or 0, old.line, old.length, cursor, meta))
            self._drift += recogniser.normaliser.take_drift()
        if isinstance(verdict, Record):
            self._mended.append(Mended(kept.number, verdict, old))
            return
        reason, column = (old.reason, old.column) if verdict is None else (verdict.reason, verdict.column)
        self._renewed.append(Renewed(kept.number, reason, column))

    def _settle(self) -> None:
        if self._refused:
            refused, self._refused = self._refused, []
            self.done.queued += self._quarantine.send_again(refused)
        if self._mended or self._renewed:
            appended = self._quarantine.settle(self._mended, self._renewed, self._drift)
            self.done.stored += appended.stored
            self.done.duplicates += appended.duplicates
            self.done.kept += len(self._renewed)
        self._mended, self._renewed, self._drift, self._bytes = [], [], [], 0

    def _recogniser(self, kept: Quarantined) -> Recogniser:
        source = kept.entry.source
        key = (source.host, source.input, source.path, kept.source)
        found = self._recognisers.get(key)
        if found is None:
            if len(self._recognisers) >= RECOGNISERS_MAX_COUNT:
                self._recognisers.clear()
            form, tz = self._options(kept.source)
            found = Recogniser(Source(source.host, source.input, source.path), format=form, tz=tz)
            self._recognisers[key] = found
        return found

    def _options(self, path: str) -> tuple[str, str]:
        """Format and zone of the first input that names the file; the usual ones where none does any more."""
        for watch in self._inputs:
            if isinstance(watch, CoderApiInput):
                continue  # no lines come from there
            if isinstance(watch, FileInput):
                names = any(fnmatch(path, pattern) for pattern in watch.paths)
            elif isinstance(watch, JournaldInput):
                names = any(path == match.source for match in matches_of(watch))
            else:
                names = path == watch.type
            if names:
                return watch.format, watch.tz
        return "auto", "UTC"
