"""The catalogue: every metric of connlog with its labels and meaning, read out of the status and of nothing else.

``connlog status`` shows the same value, so the two always agree.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator

from shipper.journal import Counters
from shipper.outputs.hec.state import LATENCY_BOUNDS_SECONDS
from shipper.status import NamesStatus, OutputStatus, Status
from shipper.timestamp import to_ns
from shipper.web.hec import HEC_METRICS
from shipper.web.label import OTHERS
from shipper.web.metric import INFINITE, SUM, Metric, Reading, Sample

_NS = 1_000_000_000


def _one(read: Callable[[Status], float]) -> Callable[[Status, Reading], Iterator[Sample]]:
    def samples(status: Status, _: Reading) -> Iterator[Sample]:
        yield (), read(status)

    return samples


def _by_source(read: Callable[[Counters], int]) -> Callable[[Status, Reading], Iterator[Sample]]:
    def samples(status: Status, reading: Reading) -> Iterator[Sample]:
        for source, counters in status.sources.items():
            yield (reading.sources[source],), read(counters)

    return samples


def _by_output(read: Callable[[OutputStatus], float | None]) -> Callable[[Status, Reading], Iterator[Sample]]:
    def samples(status: Status, _: Reading) -> Iterator[Sample]:
        for output in status.outputs:
            value = read(output)
            if value is not None:
                yield (output.name,), value

    return samples


def _of_names(read: Callable[[NamesStatus], float | None]) -> Callable[[Status, Reading], Iterator[Sample]]:
    def samples(status: Status, _: Reading) -> Iterator[Sample]:
        value = None if status.names is None else read(status.names)
        if value is not None:
            yield (), value

    return samples


def _lag(status: Status, reading: Reading) -> Iterator[Sample]:
    for file in status.files:
        yield (reading.sources[file.stream],), file.lag_bytes
    for feed in status.feeds:
        yield (reading.sources[feed.name],), feed.lag_bytes
    # The status lists only the files that are farthest behind.
    rest = status.lag_bytes - sum(f.lag_bytes for f in status.files) - sum(f.lag_bytes for f in status.feeds)
    if rest:
        yield (OTHERS,), rest


def _lag_seconds(status: Status, reading: Reading) -> Iterator[Sample]:
    longest: dict[str, float] = {}
    since = [(file.stream, file.behind_since) for file in status.files]
    since += [(feed.name, feed.behind_since) for feed in status.feeds]
    for name, behind in since:
        seconds = 0.0 if behind is None else max(0, to_ns(status.updated) - to_ns(behind)) / _NS
        label = reading.sources[name]
        longest[label] = max(longest.get(label, 0.0), seconds)
    for label, seconds in longest.items():
        yield (label,), seconds


def _latency(status: Status, _: Reading) -> Iterator[Sample]:
    for output in status.outputs:
        total = 0
        for bound, count in zip((*LATENCY_BOUNDS_SECONDS, None), output.latency_counts, strict=False):
            total += count
            yield (output.name, INFINITE if bound is None else f"{bound:g}"), total
        if output.latency_counts:
            yield (output.name, SUM), output.latency_sum_seconds


def _drift(status: Status, reading: Reading) -> Iterator[Sample]:
    for drift in status.drift:
        kind, _, name = drift.name.partition(":")
        yield (kind, reading.drift[name]), drift.count


def _build(status: Status, _: Reading) -> Iterator[Sample]:
    yield (status.version, platform.python_version()), 1


def _seconds(moment: str | None) -> float | None:
    return None if moment is None else to_ns(moment) / _NS


def _oldest_age(status: Status) -> float:
    oldest_ns = status.journal.oldest_ns
    return 0.0 if oldest_ns is None else max(0, to_ns(status.updated) - oldest_ns) / _NS


METRICS: tuple[Metric, ...] = (
    Metric("connlog_build_info", "gauge", ("version", "python"), "1; its labels tell what runs.", _build),
    Metric(
        "connlog_read_lines_total",
        "counter",
        ("source",),
        "Lines read and done with.",
        _by_source(lambda c: c.lines),
    ),
    Metric(
        "connlog_read_bytes_total",
        "counter",
        ("source",),
        "Bytes read and done with, uncompressed.",
        _by_source(lambda c: c.bytes),
    ),
    Metric(
        "connlog_entries_total",
        "counter",
        ("source",),
        "Log entries read. Always the sum of the four that follow; the source quarantine counts entries replayed.",
        _by_source(lambda c: c.entries),
    ),
    Metric(
        "connlog_entries_stored_total",
        "counter",
        ("source",),
        "Entries that became events in the journal.",
        _by_source(lambda c: c.stored),
    ),
    Metric(
        "connlog_entries_duplicate_total",
        "counter",
        ("source",),
        "Entries that are copies of an event stored before.",
        _by_source(lambda c: c.duplicates),
    ),
    Metric(
        "connlog_entries_malformed_total",
        "counter",
        ("source",),
        "Entries of coderd's that could not be read and went into the quarantine.",
        _by_source(lambda c: c.malformed),
    ),
    Metric(
        "connlog_entries_not_ours_total",
        "counter",
        ("source",),
        "Entries that are no connection events.",
        _by_source(lambda c: c.not_ours),
    ),
    Metric(
        "connlog_entries_lookalike_total",
        "counter",
        ("source",),
        "Those of them that mention connection_log.",
        _by_source(lambda c: c.lookalikes),
    ),
    Metric(
        "connlog_lag_bytes",
        "gauge",
        ("source",),
        "Bytes that were not read yet: of followed files, and of what journalctl or a pipe has handed over.",
        _lag,
    ),
    Metric(
        "connlog_lag_seconds",
        "gauge",
        ("source",),
        "Since when a source has had something that was not read yet; 0 where all is read.",
        _lag_seconds,
    ),
    Metric("connlog_files", "gauge", (), "Files that are followed.", _one(lambda s: s.files_count)),
    Metric(
        "connlog_troubles",
        "gauge",
        (),
        "Files and folders that can't be read; connlog status names them.",
        _one(lambda s: len(s.troubles)),
    ),
    Metric(
        "connlog_paused",
        "gauge",
        (),
        "1 while reading waits for room in the journal or on the disk.",
        _one(lambda s: s.paused is not None),
    ),
    Metric("connlog_journal_batches", "gauge", (), "Batches in the journal.", _one(lambda s: s.journal.batches)),
    Metric(
        "connlog_journal_events",
        "gauge",
        (),
        "Events in the journal that some output has not taken.",
        _one(lambda s: s.journal.events),
    ),
    Metric("connlog_journal_bytes", "gauge", (), "Bytes of those batches.", _one(lambda s: s.journal.bytes)),
    Metric("connlog_journal_max_bytes", "gauge", (), "state.journal_max.", _one(lambda s: s.journal_max_bytes)),
    Metric(
        "connlog_journal_oldest_age_seconds",
        "gauge",
        (),
        "How long the oldest batch has waited; 0 for an empty journal.",
        _one(_oldest_age),
    ),
    Metric(
        "connlog_output_cursor",
        "gauge",
        ("output",),
        "Number of the last batch that the output took for good.",
        _by_output(lambda o: o.cursor),
    ),
    Metric(
        "connlog_output_pending_events",
        "gauge",
        ("output",),
        "Events that the output has not taken.",
        _by_output(lambda o: o.pending),
    ),
    Metric(
        "connlog_output_last_success_timestamp_seconds",
        "gauge",
        ("output",),
        "When the output last took a batch, Unix time; missing before the first.",
        _by_output(lambda o: _seconds(o.last_success)),
    ),
    Metric(
        "connlog_output_errors_total",
        "counter",
        ("output",),
        "Attempts that failed since the daemon started; each is tried again.",
        _by_output(lambda o: o.errors_count),
    ),
    Metric(
        "connlog_output_failing",
        "gauge",
        ("output",),
        "1 while the last attempt failed.",
        _by_output(lambda o: o.last_error is not None),
    ),
    Metric(
        "connlog_output_sent_events_total",
        "counter",
        ("output",),
        "Events taken for good: by Splunk since the journal knows the output, by the index since the daemon started.",
        _by_output(lambda o: o.hec.sent if o.hec is not None else o.taken_count),
    ),
    Metric(
        "connlog_output_delivery_seconds",
        "histogram",
        ("output", "le"),
        "What a delivery took since the daemon started: a request to Splunk, a batch to the index.",
        _latency,
    ),
    *HEC_METRICS,
    Metric(
        "connlog_gaps_total",
        "counter",
        (),
        "Losses that are known; connlog status shows them.",
        _one(lambda s: s.gaps_count),
    ),
    Metric(
        "connlog_drift_total",
        "counter",
        ("kind", "name"),
        "Readings of a file that met a key, type, status or form of time unknown to this version.",
        _drift,
    ),
    Metric("connlog_quarantine_entries", "gauge", (), "Entries in the quarantine.", _one(lambda s: s.quarantine.count)),
    Metric("connlog_quarantine_bytes", "gauge", (), "Bytes of their text.", _one(lambda s: s.quarantine.bytes)),
    Metric(
        "connlog_quarantine_max_bytes", "gauge", (), "state.quarantine_max.", _one(lambda s: s.quarantine_max_bytes)
    ),
    Metric(
        "connlog_quarantine_textless_entries",
        "gauge",
        (),
        "Entries whose text was left out, since the quarantine was full.",
        _one(lambda s: s.quarantine.textless),
    ),
    Metric(
        "connlog_quarantine_dropped_total",
        "counter",
        (),
        "Entries that made room for newer ones.",
        _one(lambda s: s.quarantine.dropped),
    ),
    Metric(
        "connlog_names_requests_total",
        "counter",
        (),
        "Requests for names to Coder's API since the daemon started; missing where no Coder is asked.",
        _of_names(lambda n: n.requests_count),
    ),
    Metric(
        "connlog_names_rate_limited_total",
        "counter",
        (),
        "Answers of Coder's that it was asked too much.",
        _of_names(lambda n: n.limited_count),
    ),
    Metric(
        "connlog_names_learnt_total",
        "counter",
        (),
        "Answers that told something new of a user, an organization or a workspace.",
        _of_names(lambda n: n.learnt_count),
    ),
    Metric(
        "connlog_names_open_ids",
        "gauge",
        (),
        "Ids of the log for which Coder has not been asked yet.",
        _of_names(lambda n: n.open_count),
    ),
    Metric(
        "connlog_names_failures_total",
        "counter",
        (),
        "Times that names could not be asked for; each is tried again.",
        _of_names(lambda n: n.failures_count),
    ),
    Metric(
        "connlog_names_failing",
        "gauge",
        (),
        "1 while names can't be asked for.",
        _of_names(lambda n: n.last_error is not None),
    ),
    Metric(
        "connlog_names_last_success_timestamp_seconds",
        "gauge",
        (),
        "When Coder last gave names, Unix time; missing before the first.",
        _of_names(lambda n: _seconds(n.last_success)),
    ),
    Metric(
        "connlog_stalled_threads",
        "gauge",
        (),
        "Threads of the daemon that make no progress.",
        _one(lambda s: len(s.stalled)),
    ),
    Metric(
        "connlog_reload_refused",
        "gauge",
        (),
        "1 while the last reload was refused and the former configuration is at work.",
        _one(lambda s: s.refused is not None),
    ),
)
