"""The steps: starts the daemon with a place where it kills itself, for example just before a commit.

The product knows nothing of this. The seams are wrapped here, in the process of the test's daemon:
``python -m tests.fault.steps STEP HIT MARK CLOCK run -c FILE`` kills itself with SIGKILL the ``HIT``-th time that
``STEP`` is come to, having made the file ``MARK``; ``CLOCK`` seconds are added to its wall clock.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

STEPS = {
    "start.locked": "the state folder is locked, the journal not opened",
    "start.journal": "the journal is open, the outputs are not",
    "start.output": "an output is open, nothing is read",
    "scan.before": "before files are looked for",
    "scan.after": "files were found, what changed is not in the journal",
    "read.after": "bytes were read, not extracted",
    "extract.after": "events were extracted, not in the journal",
    "rotation.found": "a rotated file was found that has to be read to its end",
    "rotation.drained": "a rotated file was read to its end, the journal doesn't know",
    "truncation.before": "a truncation was noticed, nothing was done about it",
    "truncation.after": "the truncated file is followed anew, the journal doesn't know",
    "journal.before": "a batch is ready for the journal",
    "journal.before-commit": "a batch is written to the journal, not committed",
    "journal.after-commit": "a batch is committed to the journal, the reader doesn't know",
    "index.before": "a batch is read for the index",
    "index.before-commit": "a batch is written to the index, not committed",
    "index.after-commit": "a batch is committed to the index, the journal doesn't know",
    "cursor.before-commit": "the cursor is moved, not committed",
    "cursor.after-commit": "the cursor is moved and committed",
    "hec.before": "a request to the HEC is about to be sent",
    "hec.answered": "a request to the HEC was answered, the journal doesn't know",
    "outbox.before": "what became of a request is known, not in the journal",
    "outbox.before-commit": "what became of a request is written to the journal, not committed",
    "outbox.after-commit": "what became of a request is committed",
    "stop.read": "told to stop: reading has ended, its last batch is not in the journal",
}
"""Every step and what is true at it."""


class Fuse:
    """Counts how often one step is come to, and ends the process when it is time."""

    def __init__(self, step: str, hit: int, mark: Path) -> None:
        self._step, self._left, self._mark = step, hit, mark
        self._lock = threading.Lock()

    def come_to(self, step: str) -> None:
        if step != self._step:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._mark.write_text(step)
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)


def _wrap(owner: Any, name: str, fuse: Fuse, before: str | None = None, after: str | None = None) -> None:
    inner: Callable[..., Any] = getattr(owner, name)

    def outer(*arguments: Any, **named: Any) -> Any:
        if before is not None:
            fuse.come_to(before)
        result = inner(*arguments, **named)
        if after is not None:
            fuse.come_to(after)
        return result

    setattr(owner, name, outer)


def lay(fuse: Fuse) -> None:
    """Wrap every seam of the product that a step names."""
    from shipper.extraction import Extractor
    from shipper.index.writer import IndexWriter
    from shipper.inputs.admission import Admission
    from shipper.inputs.finder import Finder
    from shipper.inputs.tailer import Tailer
    from shipper.journal import Journal, Outbox, appender, outbox, store
    from shipper.outputs.delivery import Delivery
    from shipper.outputs.hec.client import Line
    from shipper.service.lock import StateLock

    _wrap(StateLock, "__init__", fuse, after="start.locked")
    _wrap(Journal, "__init__", fuse, after="start.journal")
    _wrap(Delivery, "open", fuse, after="start.output")
    _wrap(Finder, "scan", fuse, before="scan.before", after="scan.after")
    _wrap(Extractor, "feed", fuse, before="read.after", after="extract.after")
    _wrap(Admission, "follow_away", fuse, after="rotation.found")
    _wrap(Tailer, "_retire", fuse, after="rotation.drained")
    _wrap(Finder, "replace", fuse, before="truncation.before", after="truncation.after")
    _wrap(Line, "ask", fuse, before="hec.before", after="hec.answered")
    _wrap(Tailer, "finish", fuse, after="stop.read")

    doing = threading.local()

    def named(owner: Any, name: str, step: str) -> None:
        inner: Callable[..., Any] = getattr(owner, name)

        def outer(*arguments: Any, **more: Any) -> Any:
            if step != "cursor":
                fuse.come_to(f"{step}.before")
            doing.step = step
            try:
                result = inner(*arguments, **more)
            finally:
                doing.step = None
            fuse.come_to(f"{step}.after-commit")
            return result

        setattr(owner, name, outer)

    def committed(inner: Callable[..., AbstractContextManager[None]]) -> Callable[..., AbstractContextManager[None]]:
        @contextmanager
        def outer(*arguments: Any) -> Iterator[None]:
            with inner(*arguments):
                yield
                if getattr(doing, "step", None):
                    fuse.come_to(f"{doing.step}.before-commit")

        return outer

    named(Journal, "append", "journal")
    named(Journal, "advance", "cursor")
    named(IndexWriter, "add", "index")
    named(Outbox, "write", "outbox")
    modules: tuple[Any, ...] = (store, appender, outbox)
    for module in modules:
        module.transaction = committed(module.transaction)
    writer: Any = IndexWriter
    writer._transaction = committed(writer._transaction)


def tell_doubles() -> None:
    """Say on stderr what of a batch the journal had already: nothing should be read twice."""
    from shipper.journal import Journal
    from shipper.journal.recent import id_bytes

    journal: Any = Journal
    inner: Callable[..., Any] = journal.append

    def append(self: Any, batch: Any) -> Any:
        recent = self._appender.recent()
        events = [
            one
            for piece in batch.pieces
            for one in (*(baled for bale in piece.bales for baled in bale.opened()), *piece.encoded)
        ]
        doubles = [one for one in events if id_bytes(one.id) in recent]
        twice = [one.record().source for one in doubles]
        result = inner(self, batch)
        if twice:
            spans: dict[str, list[int]] = {}
            for source in twice:
                spans.setdefault(source.path, []).append(source.offset)
            told = {path: (len(at), min(at), max(at)) for path, at in spans.items()}
            kept = [
                (p.path, p.inode, p.offset, p.size, p.done)
                for p in batch.positions
                if any(p.path.startswith(path.partition(".log")[0]) for path in spans)
            ]
            print(f"READ TWICE: {len(twice)}: {told} {kept}", file=sys.stderr)
        return result

    journal.append = append


def tell_looks(path: Path) -> None:
    """Write into the file at ``path`` when a whole look at all files began and ended, in nanoseconds of the true clock,
    once all that it found is in the journal: from then on the daemon must know of what was there."""
    from shipper.inputs.finder import Finder
    from shipper.inputs.tailer import Tailer

    finder: Any = Finder
    tailer: Any = Tailer
    scan, turn, clock = finder.scan, tailer.turn, time.time_ns
    looks: list[tuple[int, int]] = []

    def scanned(self: Any, *arguments: Any) -> Any:
        began_ns = clock()
        changes = scan(self, *arguments)
        if not self.partial:
            looks.append((began_ns, clock()))
        return changes

    def turned(self: Any, *arguments: Any, **named: Any) -> Any:
        if looks:
            # What the turn before gave is in the journal, or it would not have come to this one.
            with path.open("a", encoding="ascii") as file:
                file.writelines(f"{began_ns} {ended_ns}\n" for began_ns, ended_ns in looks)
            looks.clear()
        return turn(self, *arguments, **named)

    finder.scan, tailer.turn = scanned, turned


def main(arguments: list[str]) -> int:
    """Run the command line behind the first four arguments with the fuse that these name."""
    step, hit, mark, clock = arguments[:4]
    tell_looks(Path(mark).with_name("looks"))
    if float(clock):
        true_clock = time.time_ns
        time.time_ns = lambda: true_clock() + int(float(clock) * 1e9)
    from shipper.inputs import tailer

    # Long enough for a writer that reopens at once, and short enough to be seen in a run of seconds.
    following: Any = tailer.Tailer.__init__
    following.__kwdefaults__["grace_seconds"] = 1.0
    tell_doubles()
    if step != "none":
        assert step in STEPS, step
        lay(Fuse(step, int(hit), Path(mark)))
    from shipper.cli.main import main as connlog

    return connlog(arguments[4:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
