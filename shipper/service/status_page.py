"""The page of the status: the same facts for people, in columns of plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from shipper.journal import Counters
from shipper.outputs.hec.state import HecState
from shipper.status import Drift, Status
from shipper.text import counted
from shipper.timestamp import from_ns

DRIFT_MAX_COUNT = 20
"""Of each kind, so that many types hide no key."""
FILES_SHOWN_COUNT = 20
"""Of more files those with the greatest lag are shown, with the lag of all."""
TROUBLES_SHOWN_COUNT = 20
SOURCES_MAX_COUNT = 20
"""Of more sources those with the most entries are shown, with the sum of all."""
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def page(status: Status, *, state: str, folder: str) -> Iterator[str]:
    """The lines of the page, without escapes for a terminal; names in it may hold any character. ``state`` is the
    word for what the daemon does now."""
    yield f"connlog {status.version}  {state}  process {status.pid}  state {folder}"
    yield f"started {_moment(status.started)}  updated {_moment(status.updated)}"
    if status.paused:
        yield f"PAUSED: {status.paused}"
    if status.refused:
        yield f"RELOAD REFUSED, the former configuration is at work: {status.refused}"
    if status.state == "waiting":
        yield "Nothing else is known before the start."
        return
    yield ""
    yield "INPUTS"
    shown = status.files[:FILES_SHOWN_COUNT]
    files = [[f.path, f.state, _size(f.offset), _size(f.lag_bytes)] for f in shown]
    if files or not status.feeds:
        yield from _columns(["file", "", "read", "lag"], files, "no file is followed")
    feeds = [[f.name, f.state, _moment(f.at), _size(f.lag_bytes), str(f.restarts_count)] for f in status.feeds]
    if feeds:
        yield from _columns(["source", "", "last entry", "lag", "restarts"], feeds, "")
    if status.files_count > len(shown):
        yield (
            f"  and {status.files_count - len(shown)} files more, none further behind; the lag of all "
            f"{status.files_count} is {_size(status.lag_bytes)}"
        )
    for message in list(status.troubles.values())[:TROUBLES_SHOWN_COUNT]:
        yield f"  ! {message}"
    if len(status.troubles) > TROUBLES_SHOWN_COUNT:
        yield f"  ! and {len(status.troubles) - TROUBLES_SHOWN_COUNT} more like these: --output json has all"
    yield ""
    yield "ENTRIES"
    most = sorted(status.sources.items(), key=lambda item: (-item[1].entries, item[0]))[:SOURCES_MAX_COUNT]
    rows = [[source, *map(str, _numbers(c))] for source, c in sorted(most)]
    rest = len(status.sources) - len(rows)
    if rest:
        sums = map(sum, zip(*map(_numbers, status.sources.values()), strict=True))
        rows.append(["all sources", *map(str, sums)])
    heads = ["source", "entries", "stored", "duplicates", "malformed", "not ours", "look-alikes"]
    yield from _columns(heads, rows, "none yet")
    if rest:
        yield f"  {rest} more sources are in that sum: --output json has all"
    for source, counters in status.sources.items():
        if not counters.conserved:
            yield f"  ! {source}: entries are not the sum of stored, duplicates, malformed and not ours"
    yield ""
    oldest = "" if status.journal.oldest_ns is None else f", oldest {_moment(from_ns(status.journal.oldest_ns))}"
    yield (
        f"JOURNAL  {counted(status.journal.events, 'event')} in {counted(status.journal.batches, 'batch', 'batches')}, "
        f"{_size(status.journal.bytes)} of {_size(status.journal_max_bytes)}{oldest}"
    )
    yield ""
    yield "OUTPUTS"
    outputs = [[o.name, str(o.pending), _moment(o.last_success), o.last_error or ""] for o in status.outputs]
    yield from _columns(["output", "pending", "last success", "last error"], outputs, "none is configured")
    for output in status.outputs:
        if output.hec is not None:
            yield from _hec(output.name, output.hec)
    yield from _names_of(status)
    held = status.quarantine
    if held.count or held.dropped:
        yield ""
        yield (
            f"QUARANTINE  {counted(held.count, 'entry', 'entries')}, {_size(held.bytes)} of {_size(status.quarantine_max_bytes)}: "
            "'connlog quarantine ls' shows them"
        )
        if held.textless:
            yield f"  ! full: of {held.textless} entries only place and reason were kept, not the text"
        if held.dropped:
            yield f"  ! {counted(held.dropped, 'entry', 'entries')} made room for newer ones"
    if status.gaps_count:
        yield ""
        yield f"GAPS  {status.gaps_count} in all, the newest:"
        for gap in status.gaps[:5]:
            yield f"  {_moment(gap.detected)}  {gap.gap}  {gap.place}  {gap.reason}"
    if status.drift:
        yield ""
        yield "NEW IN THE LOGS  (unknown to this version of connlog; the events are kept)"
        drift = _first_of_each_kind(status.drift)
        rows = [[*d.name.split(":", 1), _moment(d.first_seen), str(d.count)] for d in drift]
        yield from _columns(["", "name", "first seen", "files"], rows, "")
        if len(status.drift) > len(drift):
            yield f"  and {len(status.drift) - len(drift)} more: --output json has all"
    for name in status.stalled:
        yield f"STALLED: the thread {name} makes no progress"
    if status.metrics:
        yield ""
        yield f"METRICS  {status.metrics}"


def _hec(name: str, hec: HecState) -> Iterator[str]:
    """What there is to tell of an output to Splunk."""
    requests = f"{hec.ack_pending} request{'' if hec.ack_pending == 1 else 's'}"
    ack = {
        "acknowledged": f"acknowledgement is on, {requests} waiting for it",
        "unacknowledged": "acknowledgement is not offered",
    }.get(hec.ack, "nothing accepted since the start")
    yield (
        f"  {name}: {hec.sent} sent, {hec.retried} tried again, {hec.possible_duplicates} may be doubled, "
        f"{hec.quarantined} refused so far, {hec.put_back} put back; {ack}"
    )
    if hec.left_out is not None:
        yield f"    {hec.left_out} left out by the filter since the start"
    if hec.undecided:
        yield f"    {hec.undecided} met the filter only because a name was not known yet; see names_wait"
    for endpoint in hec.endpoints:
        reason = f": {endpoint.reason}" if endpoint.reason else ""
        yield f"    {endpoint.url}  {endpoint.state}, {endpoint.requests} requests{reason}"
    if hec.held is not None:
        yield f"  ! {name} holds everything until it is mended: {hec.held}"


def headline(status: Status) -> str:
    """The whole in one sentence, for those who have one line for it."""
    stored = sum(counters.stored for counters in status.sources.values())
    sources = status.files_count + len(status.feeds)
    said = [
        f"{status.state} {sources} source{'' if sources == 1 else 's'}, {_size(status.lag_bytes)} behind",
        f"{stored} events stored, {_size(status.journal.bytes)} in the journal",
    ]
    said += [
        f"{o.name}: {o.pending} pending" + (f", fails: {o.last_error}" if o.last_error else "") for o in status.outputs
    ]
    if status.gaps_count:
        said.append(f"{status.gaps_count} gaps")
    if status.quarantine.count:
        said.append(f"{status.quarantine.count} in quarantine")
    if status.refused:
        said.insert(0, "the last reload was refused")
    if status.paused:
        said.insert(0, f"PAUSED: {status.paused}")
    said[:0] = [f"STALLED: {name}" for name in status.stalled]
    return "; ".join(said)


def _names_of(status: Status) -> Iterator[str]:
    names = status.names
    if names is None:
        return
    yield ""
    yield (
        f"NAMES  {names.url}  last asked {_moment(names.last_success)}, {names.learnt_count} learnt, "
        f"{names.open_count} ids open"
    )
    for note in (*([names.last_error] if names.last_error else ()), *names.notes):
        yield f"  ! {note}"


def _numbers(c: Counters) -> tuple[int, ...]:
    return c.entries, c.stored, c.duplicates, c.malformed, c.not_ours, c.lookalikes


def _first_of_each_kind(drift: Sequence[Drift]) -> list[Drift]:
    shown: list[Drift] = []
    met: Counter[str] = Counter()
    for found in drift:
        kind = found.name.partition(":")[0]
        met[kind] += 1
        if met[kind] <= DRIFT_MAX_COUNT:
            shown.append(found)
    return shown


def _columns(heads: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> Iterator[str]:
    if not rows:
        yield f"  {nothing}"
        return
    table = [heads, *rows]
    widths = [max(len(row[at]) for row in table) for at in range(len(heads))]
    for row in table:
        cells = [_align(cell, width) for cell, width in zip(row, widths, strict=True)]
        yield ("  " + "  ".join(cells)).rstrip()


def _align(cell: str, width: int) -> str:
    return cell.rjust(width) if cell[:1].isdigit() and "T" not in cell else cell.ljust(width)


def _moment(text: str | None) -> str:
    return "never" if text is None else f"{text[:10]} {text[11:19]}Z"


def _size(count: int) -> str:
    size = float(count)
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    raise AssertionError("the last unit takes every size")
