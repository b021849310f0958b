"""``connlog parse``: reads whole logs and prints their connection events as NDJSON, in order."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Iterator, Sequence

from shipper.cli.talk import printable, say, tell
from shipper.compression import EXPANDED_MAX_BYTES, PIECE_BYTES, is_compressed, read_again, read_pieces
from shipper.errors import InputError, UsageError
from shipper.extraction import Extractor, Yield
from shipper.record import Malformed, Source
from shipper.text import decode

BAD_NEWS = 1
_EXCERPT_BEFORE, _EXCERPT_AFTER = 60, 20


def quick(paths: list[str]) -> int | None:
    """``connlog parse`` of paths alone; None where options or the shell's completion are among the words."""
    return None if any(path.startswith("-") and path != "-" for path in paths) else print_events(paths)


def print_events(
    paths: Sequence[str],
    form: str = "auto",
    wrapper: str = "auto",
    tz: str = "UTC",
    explain: bool = False,
    expand_max: str | None = None,
) -> int:
    """Print the events of files, standard input where there are none, and return the exit code."""
    if tz != "UTC":
        _check_zone(tz)
    limit = _size(expand_max) if expand_max else EXPANDED_MAX_BYTES
    # Records hold no cycles; looking for some again and again costs a quarter of the time.
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
    gc.enable()
    code = 0
    for path in paths or ("-",):
        if not path:
            raise UsageError("a PATH is empty; give the name of a file, or - for standard input")
        name = "<stdin>" if path == "-" else path
        # A plain file can be asked for the same bytes again.
        plain = path != "-" and not is_compressed(path) and os.path.isfile(path)  # noqa: PTH113 (as below)
        source = Source(os.uname().nodename, "stdin" if path == "-" else "file", None if path == "-" else path)
        if explain:
            from shipper.cli.explanation import Explainer

            extractor: Extractor = Explainer(source, format=form, wrapper=wrapper, tz=tz)
        else:
            # For the number of a line too, so nobody needs to count lines before.
            extractor = Extractor(source, format=form, wrapper=wrapper, tz=tz, compact=False, counted=not plain)
        try:
            for result in _results(extractor, path, limit, plain=plain):
                code = max(code, _print(result, name, explain))
        except InputError as error:
            say(str(error))
            code = error.exit_code
        code = max(code, _print(extractor.flush(final=True), name, explain))
    return code


def _results(extractor: Extractor, path: str, limit: int, *, plain: bool) -> Iterator[Yield]:
    if plain:
        for piece in read_again(path, lambda: extractor.offset):
            yield extractor.feed(piece, again=True)
    else:
        for piece in read_pieces(path, expanded_max_bytes=limit):
            yield extractor.feed(piece)


def _check_zone(name: str) -> None:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UsageError(f"--tz {printable(name)}: no such time zone; give one like Europe/Berlin") from error


def _size(text: str) -> int:
    from shipper.config.quantity import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise UsageError(f"--expand-max {printable(text)}: {error}") from error


def _print(result: Yield, name: str, explain: bool) -> int:
    if explain:
        return BAD_NEWS if result.malformed else 0
    if result.encoded:
        lines = "\n".join([found.json for found in result.encoded] + [""]).encode()
        sys.stdout.buffer.write(_controls(lines) if sys.stdout.isatty() else lines)
        sys.stdout.buffer.flush()
    if result.malformed:
        sys.stdout.flush()
        for entry in result.malformed:
            line = entry.line or _line_number(name, entry.source.offset or 0)
            tell(complaint(entry, name, line))
        return BAD_NEWS
    return 0


def _line_number(path: str, offset: int) -> int:
    """The 1-based number of the line at ``offset`` of a file. Counts on from the last question about the same file."""
    known, line = _counted_up_to.get(path, (0, 1))
    if offset < known:
        known, line = 0, 1
    with open(path, "rb") as file:  # noqa: PTH123 (no Path is loaded for it)
        file.seek(known)
        while known < offset and (piece := file.read(min(PIECE_BYTES, offset - known))):
            known += len(piece)
            line += piece.count(b"\n")
    _counted_up_to[path] = known, line
    return line


_counted_up_to: dict[str, tuple[int, int]] = {}


def complaint(entry: Malformed, name: str, line: int | None = None) -> str:
    """``PATH:LINE:COLUMN: reason`` and below it the part of the line at fault, the place marked.

    ``line`` is that of the entry's beginning; of an entry of many lines, the one at fault is named.
    """
    at = entry.column - 1
    above = entry.raw.count(b"\n", 0, at)
    begin = entry.raw.rfind(b"\n", 0, at) + 1
    end = entry.raw.find(b"\n", at)
    end = len(entry.raw) if end < 0 else end
    start = max(begin, at - _EXCERPT_BEFORE)
    stop = min(end, at + _EXCERPT_AFTER)
    before, after = printable(decode(entry.raw[start:at])), printable(decode(entry.raw[at:stop]))
    lead, tail = "…" if start > begin else "", "…" if stop < end else ""
    mark = " " * (len(lead) + len(before)) + "^"
    place = f"{printable(name)}:{(line or entry.line) + above}:{at - begin + 1}"
    return f"{place}: {printable(entry.reason)}\n    {lead}{before}{after}{tail}\n    {mark}"


def _controls(lines: bytes) -> bytes:
    """JSON lines with DEL and the C1 controls as escapes; JSON itself escapes the others."""
    return re.sub(rb"\x7f|\xc2[\x80-\x9f]", lambda found: b"\\u%04x" % ord(found[0].decode()), lines)
