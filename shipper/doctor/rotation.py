"""The rotation: how long a line of a file that coderd itself rotates can be read, at the rate at which it writes now.

Fact: coderd's file sinks are lumberjack's, with MaxSize 5 and MaxBackups 1: at 5 MiB the file is renamed to
``NAME-2006-01-02T15-04-05.000.EXT`` (UTC) and the former one of that kind is removed.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from shipper.config import FileInput
from shipper.config.quantity import duration_text, size_text
from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, note, ok, problem, warning
from shipper.inputs.discovery import discover

CHECK = "rotation"
ROTATED_BYTES = 5 << 20
SAMPLE_SECONDS = 2.0
FILES_MAX_COUNT = 20
GRAVE_SECONDS, THIN_SECONDS = 300.0, 3600.0
"""A reboot or an upgrade takes longer than the first; a mended disk or a night's repair longer than the second."""
_stamped = re.compile(
    r"(?P<stem>.*)-(?P<stamp>\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3})(?P<end>\.[^.]*)?(?:\.gz)?", re.DOTALL
)


class _Sink(Struct, frozen=True):
    """A file of coderd's with the time of its last rotation, Unix seconds."""

    path: str
    rotated: float


def examine(case: Case) -> Iterator[Finding]:
    """For each followed file that has a sibling of coderd's rotation."""
    if case.config is None:
        return
    watches = [source for source in case.config.inputs if isinstance(source, FileInput)]
    found, _ = discover(watches)
    plain = [one.path for one in found.values()]
    sinks = [sink for path in plain if (sink := _sink(path)) is not None][:FILES_MAX_COUNT]
    if watches and not sinks:
        yield ok(CHECK, "input", "no followed file is one that coderd rotates at 5 MiB itself")
    if not sinks:
        return
    before = {sink.path: _size(sink.path) for sink in sinks}
    began = time.monotonic()
    time.sleep(SAMPLE_SECONDS)
    passed = time.monotonic() - began
    for sink in sinks:
        now = _size(sink.path)
        sampled = max(0, now - before[sink.path]) / passed
        mean = now / max(1.0, time.time() - sink.rotated)
        yield _judged(sink.path, sampled, mean)


def _judged(path: str, sampled: float, mean: float) -> Finding:
    rate = max(sampled, mean)
    if rate < 1.0:
        return ok(CHECK, path, "coderd rotates it at 5 MiB and writes almost nothing to it now")
    seconds = ROTATED_BYTES / rate
    text = (
        f"coderd rotates it at 5 MiB and keeps one: at {size_text(round(rate))} a second (since the last rotation "
        f"{size_text(round(mean))}, over {SAMPLE_SECONDS:g} seconds {size_text(round(sampled))}) a line that connlog has not "
        f"read is gone {_span(seconds)} later"
    )
    advice = (
        "nothing is lost while connlog runs; so that a longer stop loses nothing either, let coderd log to stderr and "
        'follow it in the journal (type = "journald"), or take noise out of its log (CODER_LOG_FILTER, no CODER_VERBOSE)'
    )
    if seconds < GRAVE_SECONDS:
        return problem(CHECK, path, text, advice)
    if seconds < THIN_SECONDS:
        return warning(CHECK, path, text, advice)
    return note(CHECK, path, text, advice)


def _sink(path: str) -> _Sink | None:
    folder, name = os.path.split(path)
    stem, end = os.path.splitext(name)  # noqa: PTH122 - text of a name
    stamps = []
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are wanted, not paths
    except OSError:
        return None
    for other in names:
        match = _stamped.fullmatch(other)
        if match is not None and match["stem"] == stem and (match["end"] or "") == end:
            stamps.append(match["stamp"])
    if not stamps:
        return None
    try:
        moment = datetime.strptime(max(stamps), "%Y-%m-%dT%H-%M-%S.%f").replace(tzinfo=UTC)
    except ValueError:
        return None
    return _Sink(path, moment.timestamp())


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0


def _span(seconds: float) -> str:
    """About how long, in the largest unit of which there are two."""
    for name, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{name}"
    return duration_text(round(seconds) * 1000)
