"""The time zone: whether stamps that name none are read in the zone in which they were written."""

from __future__ import annotations

import os
import re
import stat
import time
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from shipper.config import FileInput
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.inputs.discovery import discover

CHECK = "time-zone"
TAIL_BYTES = 64 << 10
FILES_MAX_COUNT = 50
NEAR_SECONDS = 120.0
"""How far a stamp may be from a whole quarter of an hour, in which zones differ."""
QUARTER_SECONDS = 900.0
FARTHEST_SECONDS = 14 * 3600.0 + 2 * NEAR_SECONDS
_stamp = re.compile(rb"(?:\x1b\[[0-9;]*m)*(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.\d{3}")


def examine(case: Case) -> Iterator[Finding]:
    """Each input's zone; the last stamp of files against the time when they were written."""
    if case.config is None:
        return
    here = time.strftime("%Z (%z)")
    for number, source in enumerate(case.config.inputs, start=1):
        zone = getattr(source, "tz", "UTC")
        try:
            rules: tzinfo = UTC if zone == "UTC" else zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            yield problem(CHECK, f"input[{number}].tz", f"{zone} is not known here", "install the package tzdata")
            continue
        if not isinstance(source, FileInput):
            continue
        if zone != "UTC":
            text = f"stamps without a zone are read as {zone}; coderd itself always writes UTC"
            yield note(CHECK, f"input[{number}].tz", text, "leave tz out unless something stamps the lines anew")
        found, _ = discover([source])
        odd = False
        for one in list(found.values())[:FILES_MAX_COUNT]:
            off = _offset(one.path, rules)
            if off is not None and abs(off) >= QUARTER_SECONDS - NEAR_SECONDS:
                odd = True
                text = (
                    f"the stamp of its last line, read as {zone}, is {off / 3600:+.2f} h from when the file was written"
                )
                advice = f"its stamps are in another zone: set tz of input[{number}]; this machine has {here}"
                yield warning(CHECK, one.path, text, advice)
        if found and not odd:
            yield ok(CHECK, f"input[{number}].tz", f"stamps fit {zone}, as far as they tell")


def _offset(path: str, zone: tzinfo) -> float | None:
    """By how many seconds the last stamp without a zone differs from the file's time, where that is about a multiple of
    a quarter of an hour; None where there is no stamp, or it may be of a line that waited."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode):
            return None
        raw = os.pread(fd, TAIL_BYTES, max(0, facts.st_size - TAIL_BYTES))
    except OSError:
        return None
    finally:
        os.close(fd)
    stamps = [match[1] for line in raw.split(b"\n") if (match := _stamp.match(line))]
    if not stamps:
        return None
    try:
        moment = datetime.strptime(stamps[-1].decode(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
    except ValueError:
        return None
    off = moment.timestamp() - facts.st_mtime
    rest = abs(off) % QUARTER_SECONDS
    if abs(off) > FARTHEST_SECONDS or min(rest, QUARTER_SECONDS - rest) > NEAR_SECONDS:
        return None
    return off
