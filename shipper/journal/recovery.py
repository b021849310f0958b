"""Recovery: puts a new journal with all that is sound in the place of a damaged one, saying what is lost.

The damaged journal stays where it is until the new one is whole on the disk, the gap included: a recovery
that is cut off at any moment is begun again, or ended, by the next start.
"""

from __future__ import annotations

import logging
import os
from contextlib import closing
from pathlib import Path

from shipper.errors import StateBusy, StateDamaged, StateError
from shipper.journal import sql
from shipper.journal.appender import Appender
from shipper.journal.batch import Batch
from shipper.journal.database import connect, transaction, translated
from shipper.journal.ledger import fold_counters
from shipper.journal.salvage import Salvage, open_damaged
from shipper.record import SCHEMA, Gap, Source
from shipper.timestamp import from_ns

log = logging.getLogger(__name__)
DAMAGED_KEPT_COUNT = 3
"""Damaged journals that are kept for whoever wants to look."""
_LOGS = ("-wal", "-shm")


def went_back(path: Path, count: int, since_ns: int | None, now_ns: int) -> Gap:
    """A journal that lacks the last ``count`` batches that were committed to it, stored after ``since_ns``."""
    reason = (
        f"{path.name} lacks the last {count} batches that were written to it: its -wal file was lost, or it comes from "
        "a backup; files are read again from where it says, and what they no longer hold is gone"
    )
    log.warning("%s", reason)
    begin, end = None if since_ns is None else from_ns(since_ns), from_ns(now_ns)
    return Gap(SCHEMA, "journal_damaged", Source(), begin, end, None, False, end, reason)


def began_anew(path: Path, newest: int, now_ns: int) -> Gap:
    """A journal that is empty although batches up to the number ``newest`` were committed to it, at times unknown."""
    reason = (
        f"{path.name} is empty although batches up to number {newest} were written to it: its -wal file was lost, or it "
        "was removed; files are read again from their start, and what they no longer hold is gone"
    )
    log.warning("%s", reason)
    end = from_ns(now_ns)
    return Gap(SCHEMA, "journal_damaged", Source(), None, end, None, False, end, reason)


def recover(path: Path, *, newest: int, base: int, now_ns: int, recent_ids_max_count: int) -> None:
    """Replace the damaged journal at ``path``. Numbers go on above ``base`` and above ``newest``, the last one known.

    Raises StateFull and StateError; then the damaged journal is as it was, and recovery can be tried again.
    """
    built = _built(path)
    _remove(built)
    try:
        _forget_earlier(path)
        aside = _free_name(path, now_ns)
        gap = _build(path, aside, newest=newest, base=base, now_ns=now_ns, recent_ids_max_count=recent_ids_max_count)
        _sync(path.parent)
        path.rename(aside)
        _sync(path.parent)
        _put_in_place(path, aside)
    except OSError as error:
        raise StateError(f"{path}: damaged, and can't be put aside: {error.strerror}") from error
    except StateError:
        # Whatever stood in the way, its room is not needed before the next attempt.
        _remove(built)
        raise
    log.warning("%s", gap.reason)


def _build(path: Path, aside: Path, *, newest: int, base: int, now_ns: int, recent_ids_max_count: int) -> Gap:
    """Write the new journal in one transaction, and into its one file, which is what will be renamed."""
    built = _built(path)
    with closing(connect(built)) as new, translated(built):
        with transaction(new):
            salvage = Salvage(new, newest, base)
            old = open_damaged(path)
            if old is not None:
                with closing(old):
                    salvage.run(old, now_ns, recent_ids_max_count)
            fold_counters(new, now_ns)
            for name, value in (("began", 1), ("last_seq", salvage.last), ("made_ns", now_ns)):
                new.execute(sql.PUT_META, (name, value))
            gap = _gap(salvage, aside, now_ns)
            appender = Appender(new, built, max_bytes=0, quarantine_max_bytes=0)
            appender.last_seq = salvage.last
            appender.write(Batch(gaps=(gap,)), now_ns)
        if new.execute(sql.CHECKPOINT).fetchone()[0]:
            raise StateBusy(f"{built}: another process holds it; try again")
    return gap


def end_recovery(path: Path, now_ns: int) -> None:
    """End a recovery that was cut off, or clear away what it had begun. Raises StateError."""
    built = _built(path)
    try:
        if not built.exists():
            return
        if path.exists() or not _is_whole(built):
            _remove(built)
            return
        # Its damaged journal was put aside, so it had been whole by then.
        earlier = _earlier(path)
        _put_in_place(path, earlier[-1] if earlier else _free_name(path, now_ns))
        log.warning("%s: a recovery that was cut off is ended", path)
    except OSError as error:
        raise StateError(f"{path}: its recovery can't be ended: {error.strerror}; check the folder's owner") from error


def _put_in_place(path: Path, aside: Path) -> None:
    """The last steps: the logs of the damaged journal follow it, the new journal takes its place."""
    for ending in _LOGS:
        log_file = path.with_name(path.name + ending)
        if log_file.exists():
            log_file.rename(aside.with_name(aside.name + ending))
    _sync(path.parent)
    _built(path).rename(path)
    _sync(path.parent)
    _remove(_built(path))


def _is_whole(built: Path) -> bool:
    try:
        with closing(connect(built)) as db, translated(built):
            whole = db.execute(sql.GET_META, ("last_seq",)).fetchone() is not None
            return whole and not db.execute(sql.CHECKPOINT).fetchone()[0]
    except StateDamaged:
        return False


def _gap(salvage: Salvage, aside: Path, now_ns: int) -> Gap:
    reason = (
        f"the journal was damaged and is kept as {aside.name}; {salvage.taken} batches were taken over, "
        f"{salvage.lost} or more were lost; files are read again from their start"
    )
    begin, end = (None if at is None else from_ns(at) for at in salvage.span(now_ns))
    return Gap(SCHEMA, "journal_damaged", Source(), begin, end, None, False, from_ns(now_ns), reason)


def _built(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def _remove(path: Path) -> None:
    for ending in ("", *_LOGS):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _earlier(path: Path) -> list[Path]:
    """The damaged journals that are kept, the newest last."""
    found = (other for other in path.parent.glob(f"{path.name}.damaged-*") if not other.name.endswith(_LOGS))
    return sorted(found, key=lambda other: (other.stat().st_ctime_ns, other.name))


def _forget_earlier(path: Path) -> None:
    earlier = _earlier(path)
    for other in earlier[: max(0, len(earlier) + 1 - DAMAGED_KEPT_COUNT)]:
        _remove(other)


def _free_name(path: Path, now_ns: int) -> Path:
    number = now_ns // 1_000_000_000
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    return aside


def _sync(folder: Path) -> None:
    """Make the names in ``folder`` last."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
