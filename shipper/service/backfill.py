"""The backfill: reads whole files once into the journal and waits until every output has taken them.

Where a daemon runs, its outputs deliver what is appended here; where none does, the state folder is held
and delivered from here. A file is known by its content, compressed or not: what was read of it, by an
earlier run or by the daemon, is not read again.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from msgspec import Struct

from shipper.config import Config, FileInput
from shipper.errors import InputError, StateBusy, StateError, StateFull
from shipper.inputs.content import Content, UnpackedContent, open_content
from shipper.inputs.identity import Known
from shipper.inputs.tail import Tail
from shipper.inputs.truncation import Truncated
from shipper.journal import Baler, Batch, Journal, Piece, Position
from shipper.journal.position import BACKFILL_PREFIX
from shipper.service.dispatch import Dispatch
from shipper.service.intake import FileExtractors
from shipper.service.lock import StateLock, refuse_newer
from shipper.service.outlet import open_output, write_for_outputs
from shipper.service.sending import Sending

READ_MAX_BYTES = 4 << 20
"""Read, extracted and written to the journal in one go."""
WAIT_SECONDS = 0.2
DRAIN_SECONDS = 5.0


class File(Struct, frozen=True):
    """A file to read; ``size`` is in bytes on the disk, compressed where the file is."""

    path: str
    size: int


class Progress(Struct):
    """How far it is. ``bytes`` are on the disk; ``pending`` are events that an output has not taken yet."""

    files: int = 0
    files_total: int = 0
    bytes: int = 0
    bytes_total: int = 0
    events: int = 0
    duplicates: int = 0
    malformed: int = 0
    unchanged: int = 0
    pending: int = 0
    path: str = ""
    waiting: str = ""
    problems: list[str] = []


class Backfill:
    """One run over ``files`` with the state folder and the outputs of ``config``. Raises StateError.

    ``watch`` says how the lines are read; ``tell`` is called, from this thread, whenever something changed.
    """

    def __init__(
        self, config: Config, files: Sequence[File], watch: FileInput, tell: Callable[[Progress], None]
    ) -> None:
        self._config = config
        self._files = files
        self._watch = watch
        self._tell = tell
        self._make_extractor = FileExtractors(socket.gethostname())
        self._folder = config.state.dir
        self._lock: StateLock | None = None
        self._sendings: list[Sending | Dispatch] = []
        self._threads: list[threading.Thread] = []
        self._last_seq = 0
        self.progress = Progress(files_total=len(files), bytes_total=sum(file.size for file in files))
        os.umask(0o027)
        try:
            self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"{self._folder}: can't be made: {error.strerror}; choose another state.dir") from error
        refuse_newer(self._folder)
        self._hold()
        self._journal = Journal(
            self._folder / "journal.db",
            max_bytes=config.state.journal_max_bytes,
            quarantine_max_bytes=config.state.quarantine_max_bytes,
            delivered_max_bytes=config.state.delivered_max_bytes,
        )
        write_for_outputs(self._journal, config)
        self._baler = Baler(lambda: self._journal.wrapping)
        self._known = Known(self._journal.positions())

    def run(self) -> Progress:
        """Read everything, then wait until it is delivered. What was done is kept however this ends."""
        try:
            self._deliver()
            for file in self._files:
                before = self.progress.bytes
                self.progress.path = file.path
                self._read(file, before)
                self.progress.files += 1
                self.progress.bytes = before + file.size
                self._tell(self.progress)
            self.progress.path = ""
            self._settle()
            return self.progress
        finally:
            self._close()

    def take(self, pieces: Iterable[Piece]) -> Progress:
        """Instead of ``run``: take what was read elsewhere, and wait until it is delivered."""
        try:
            self._deliver()
            for piece in pieces:
                self._append(Batch((piece,)))
                self._tell(self.progress)
            self._settle()
            return self.progress
        finally:
            self._close()

    def _settle(self) -> None:
        while self._behind():
            self._wait("waits for outputs")

    # ---- the state folder ----------------------------------------------------------------------

    def _hold(self) -> None:
        """Hold the folder unless a daemon does."""
        try:
            self._lock = StateLock(self._folder)
        except StateBusy:
            self._lock = None

    def _deliver(self) -> None:
        """Where no daemon does it: a thread for each output."""
        if self._lock is None or self._sendings:
            return
        self._sendings = [open_output(output, self._journal, self._config.state) for output in self._config.outputs]
        for sending in self._sendings:
            thread = threading.Thread(target=sending.run, name=f"output-{sending.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _behind(self) -> bool:
        states = self._journal.outputs()
        self.progress.pending = max((state.pending for state in states), default=0)
        ours = {sending.name for sending in self._sendings}
        return any(state.cursor < self._last_seq or (state.name in ours and state.pending) for state in states)

    def _wait(self, why: str) -> None:
        if self._lock is None:
            # The daemon may have been stopped: then the rest is ours to deliver.
            self._hold()
            self._deliver()
        errors = [sending.last_error for sending in self._sendings if sending.last_error]
        self.progress.waiting = errors[0] if errors else why
        self._tell(self.progress)
        time.sleep(WAIT_SECONDS)
        self.progress.waiting = ""

    def _close(self) -> None:
        for sending in self._sendings:
            sending.stop(DRAIN_SECONDS)
        for thread in self._threads:
            thread.join(DRAIN_SECONDS)
        self._journal.close()
        if self._lock is not None:
            self._lock.close()

    # ---- one file ------------------------------------------------------------------------------

    def _read(self, file: File, before: int) -> None:
        try:
            content = open_content(file.path)
        except InputError as error:
            self.progress.problems.append(str(error))
            return
        try:
            tail = self._tail(content, file.path)
            if tail is not None:
                self._read_rest(tail, content, before)
        except InputError as error:
            self.progress.problems.append(str(error))
        except Truncated:
            self.progress.problems.append(f"{file.path}: changed while it was read; run the same command again")
        finally:
            content.close()

    def _tail(self, content: Content, path: str) -> Tail | None:
        """What reads the file from where it is known, or None where that is the daemon's business."""
        status = content.stat()
        position = self._known.match(content.pread, status.st_dev, status.st_ino)
        if position is not None and self._lock is None and not (position.backfilled or position.done or position.lost):
            self.progress.unchanged += 1
            return None
        tail = Tail(content, path, self._watch, self._make_extractor, time.monotonic(), position=position, stream=path)
        if position is None:
            tail.key = BACKFILL_PREFIX + uuid.uuid4().hex
        elif not content.pread(tail.fed, 1):
            self.progress.unchanged += 1
            if position.done:
                return None
        return tail

    def _read_rest(self, tail: Tail, content: Content, before: int) -> None:
        # A file that the daemon goes on to follow may end inside a line.
        ours = tail.key.startswith(BACKFILL_PREFIX)
        while True:
            piece = Piece(tail.stream)
            keep = partial(piece.add, baler=self._baler)
            if not tail.read(READ_MAX_BYTES, time.monotonic(), keep):
                break
            self._keep(piece, tail.position())
            self.progress.bytes = before + (
                content.packed_at if isinstance(content, UnpackedContent) else min(tail.fed, tail.size)
            )
            self._tell(self.progress)
        keep(tail.flush(final=ours))
        self._keep(piece, tail.position(done=ours))

    def _keep(self, piece: Piece, position: Position) -> None:
        told = piece.lines or piece.entries
        self._append(Batch((piece,) if told else (), (position,) if position.head_length else ()))
        if position.head_length:
            self._known.add(position)

    def _append(self, batch: Batch) -> None:
        while not batch.empty:
            try:
                appended = self._journal.append(batch)
            except (StateFull, StateBusy) as error:
                self._wait(str(error))
                continue
            self._last_seq = max(self._last_seq, appended.seq or 0)
            self.progress.events += appended.stored
            self.progress.duplicates += appended.duplicates
            self.progress.malformed += appended.malformed
            for sending in self._sendings:
                sending.wake()
            break


def files_of(paths: Sequence[str], leave_out: Path) -> Iterator[File]:
    """The regular files that ``paths`` name, each once, and those in folders among them, the oldest of a folder
    first. Nothing below the folder ``leave_out`` is taken. Raises InputError for a path that isn't there."""
    seen: set[tuple[int, int]] = set()
    without = str(leave_out.resolve())
    for path in paths:
        for status, name in _regular(path, without):
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield File(name, status.st_size)


def _regular(path: str, without: str) -> list[tuple[os.stat_result, str]]:
    full = Path(path).absolute()
    try:
        status = full.stat()
    except OSError as error:
        raise InputError(f"{path}: can't be read: {error.strerror}") from error
    if stat.S_ISREG(status.st_mode):
        return [(status, str(full))]
    if not stat.S_ISDIR(status.st_mode):
        raise InputError(f"{path}: neither a file nor a folder")
    found: list[tuple[os.stat_result, str]] = []
    for folder, folders, names in os.walk(full):
        if os.path.realpath(folder) == without:
            folders.clear()
            continue
        for name in names:
            one = Path(folder, name)
            try:
                inner = one.stat()
            except OSError:
                continue  # gone, or a link to nothing
            if stat.S_ISREG(inner.st_mode):
                found.append((inner, str(one)))
    return sorted(found, key=lambda item: (item[0].st_mtime_ns, item[1]))
