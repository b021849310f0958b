"""The disk: whether what the configuration allows has room, and whether the file system keeps what a database needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from shipper.config import Config
from shipper.config.quantity import size_text
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, ok, problem, warning

CHECK = "disk"
MOUNTS = Path("/proc/self/mountinfo")
REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "fuse.glusterfs", "afs", "lustre")
VOLATILE = ("tmpfs", "ramfs")
ROOM_MIN_BYTES = 64 << 20
"""Below this the index and the system's own logs have no air."""
INODES_MIN_COUNT = 1000


def examine(case: Case) -> Iterator[Finding]:
    """Free room against the limits of the journal, the quarantine and the ledger; the kind of file system."""
    config = case.config
    if config is None:
        return
    folder = _existing(config.state.dir)
    facts = os.statvfs(folder)
    free = facts.f_bavail * facts.f_frsize
    wanted = _wanted(config)
    where = str(config.state.dir)
    if free < ROOM_MIN_BYTES:
        text = f"{_size(free)} are free: reading pauses when there is none"
        yield problem(CHECK, where, text, "make room, or put state.dir on a larger disk")
    elif free < wanted:
        text = (
            f"{_size(free)} are free, and journal, quarantine and ledger may still grow by {_size(wanted)}: in a long "
            "outage the disk is full before state.journal_max is reached"
        )
        yield warning(CHECK, where, text, "make room, or set state.journal_max to what there is")
    else:
        yield ok(CHECK, where, f"{_size(free)} are free, {_size(wanted)} may be needed beside the index")
    if facts.f_files and facts.f_favail < INODES_MIN_COUNT:
        text = f"{facts.f_favail} inodes are free: no file can be made without one"
        yield problem(CHECK, where, text, "remove small files on this file system")
    kind = _file_system(folder)
    if kind in REMOTE:
        text = f"lies on {kind}: SQLite's locks and its -wal file are not safe over a network"
        yield problem(CHECK, where, text, "put state.dir on a local disk")
    elif kind in VOLATILE:
        text = f"lies on {kind}, in memory: a reboot loses journal, positions and index"
        yield warning(CHECK, where, text, "put state.dir on a disk")


def _wanted(config: Config) -> int:
    """How much may still be added up to the limits."""
    limits = config.state
    used = 0
    for name in ("journal.db", "journal.db-wal"):
        try:
            used += (limits.dir / name).stat().st_size
        except OSError:
            continue
    return max(0, limits.journal_max_bytes + limits.quarantine_max_bytes + limits.delivered_max_bytes - used)


def _existing(folder: Path) -> Path:
    for one in (folder, *folder.parents):
        try:
            os.statvfs(one)
        except OSError:
            continue
        return one
    return Path("/")


def _file_system(folder: Path) -> str:
    """The kind of file system that a folder lies on, by /proc/self/mountinfo (proc(5)); empty where that can't be told."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    best, kind = "", ""
    real = folder.resolve()
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        place = fields[4].replace("\\040", " ")
        # Of two on one place the later covers the earlier.
        if real.is_relative_to(place) and len(place) >= len(best):
            best, kind = place, after.split()[0]
    return kind


def _size(count: int) -> str:
    """In the largest whole unit, about."""
    for unit in (1 << 30, 1 << 20, 1 << 10):
        if count >= unit:
            return size_text(count // unit * unit)
    return size_text(count)
