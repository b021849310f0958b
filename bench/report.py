"""The report of a run: the measurements, the limits and the machine, as JSON, as plain text, or as a page's section."""

from __future__ import annotations

import statistics
from typing import Any

import msgspec

from bench.limit import COMPARED_LOOP_MICROSECONDS, MB, Verdict
from bench.machine import Machine
from bench.measurement import Figure, Measurement
from bench.subject import TITLES, Name

OURS: tuple[Name, ...] = ("parse", "daemon", "hec", "output")
NOTES = (
    "CPU is user and system seconds of whole processes, the interpreter's start included, nothing subtracted.",
    "Ratios and rates are of the minimum; the subjects take turns, run by run, on the same file.",
    "grep and wc run in the C locale, grep into a pipe.",
    "The loop is `orjson.loads` over the JSON load with all events; the human load has as many events of the same kinds. A long load has a loop of its own length.",
    "`connlog parse` writes NDJSON to /dev/null.",
    "`connlog run` reads a finished file until the index has taken every event, and is then ended by SIGTERM.",
    "`connlog run to HEC` does the same with a HEC output in place of the index, to a HEC on the loopback that unpacks and counts when all has come.",
    "HEC output alone: the whole daemon from its start on brings a journal that is full of the load's events to that HEC.",
    "Dump, gzip, post: `orjson.dumps` of the same envelopes, `isal` gzip level 1, `requests` post of the same bodies; nothing else of its process is counted.",
    "Peak is the greatest resident memory of all runs, 1 MB = 1,000,000 bytes.",
)
FIGURE_HEAD = ("load", "process", "CPU s min", "median", "lines / CPU s", "µs / event", "× grep", "× loop", "peak MB")
LIMIT_HEAD = ("load", "limit", "allowed", "measured", "by median", "verdict")

Row = tuple[str, ...]


class Report(msgspec.Struct, frozen=True):
    """Everything one run of the benchmark found; ``date`` is UTC, ``command`` what made it."""

    date: str
    command: str
    runs_count: int
    machine: Machine
    measurements: list[Measurement]
    verdicts: list[Verdict]


def to_json(report: Report) -> bytes:
    """One object with a line's end; figures carry their runs and what follows from them."""
    body = {
        "schema": 1,
        "date": report.date,
        "command": report.command,
        "runs": report.runs_count,
        "machine": report.machine,
        "loads": [_load(measurement) for measurement in report.measurements],
        "limits": report.verdicts,
    }
    return msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"


def to_text(report: Report) -> str:
    """Two plain tables, the notes under them."""
    return "\n\n".join(
        (
            _heading(report),
            _plain(FIGURE_HEAD, figure_rows(report)),
            _plain(LIMIT_HEAD, limit_rows(report)),
            *_scaled(report),
            *_backlogs(report),
            "\n".join(NOTES).replace("`", ""),
        )
    )


def to_markdown(report: Report) -> str:
    """The same for a page: the command, the machine, the tables, the notes."""
    return "\n\n".join(
        (
            f"```sh\n{report.command}\n```",
            _heading(report),
            _piped(FIGURE_HEAD, figure_rows(report), numbers_from=2),
            _piped(LIMIT_HEAD, limit_rows(report), numbers_from=2),
            *_scaled(report),
            *_backlogs(report),
            "\n".join(f"- {note}" for note in NOTES),
        )
    )


def figure_rows(report: Report) -> list[Row]:
    """A row for each subject on each load."""
    return [_figure_row(measurement, figure) for measurement in report.measurements for figure in measurement.figures]


def limit_rows(report: Report) -> list[Row]:
    """A row for each limit on each load."""
    return [
        (
            verdict.load,
            verdict.limit,
            f"{verdict.allowed:.1f} {verdict.unit}",
            f"{verdict.measured:.1f}",
            f"{verdict.median:.1f}",
            "met" if verdict.met else "NOT MET",
        )
        for verdict in report.verdicts
    ]


def _heading(report: Report) -> str:
    machine = report.machine
    times = "once" if report.runs_count == 1 else f"{report.runs_count} times"
    return (
        f"{report.date}, connlog {machine.connlog}, Python {machine.python}, {machine.cpu}, {machine.cores} cores, "
        f"{machine.system}, load average {machine.load_average:g} at the start; each process ran {times}."
    )


def _scaled(report: Report) -> list[str]:
    """A sentence that tells how fast this machine was, for limits of time; verdicts do not use it."""
    loops = [figure.minimum / one.events * 1e6 for one in report.measurements if (figure := one.figure("orjson"))]
    timed = [verdict for verdict in report.verdicts if verdict.unit == "µs an event"]
    if not loops or not timed:
        return []
    loop = statistics.median(loops)
    found = "; ".join(
        f"{one.load}, {one.limit.partition(':')[0]} {one.measured * COMPARED_LOOP_MICROSECONDS / loop:.1f}"
        for one in timed
    )
    sentence = (
        f"For comparison with other machines: the loop took {loop:.1f} µs a line here. Where it takes "
        f"{COMPARED_LOOP_MICROSECONDS:g}, what has a limit in µs an event would be, by that alone: {found}."
    )
    return [sentence]


def _backlogs(report: Report) -> list[str]:
    """A sentence for each journal that was brought out."""
    return [
        f"{measurement.plan.name}: a backlog of {measurement.events:,} events is brought out at "
        f"{backlog.events_per_second:,.0f} events a second by the clock, with {backlog.plain_bytes_per_event:,.0f} bytes "
        f"an event in the bodies and {backlog.sent_bytes_per_event:,.0f} on the wire."
        for measurement in report.measurements
        if (backlog := measurement.backlog)
    ]


def _ratio(measurement: Measurement, figure: Figure, name: Name) -> float | None:
    other = measurement.figure(name)
    return figure.minimum / other.minimum if other and other.minimum else None


def _load(measurement: Measurement) -> dict[str, Any]:
    plan = measurement.plan
    return {
        "format": plan.format,
        "share": plan.share,
        "lines": plan.lines,
        "long": plan.long,
        "bytes": measurement.bytes,
        "events": measurement.events,
        "quarter": {"lines": plan.quarter().lines, "parse_peak_bytes": measurement.quarter_peak_bytes},
        "backlog": measurement.backlog,
        "processes": [_process(measurement, figure) for figure in measurement.figures],
    }


def _process(measurement: Measurement, figure: Figure) -> dict[str, Any]:
    return {
        "name": figure.name,
        "title": TITLES[figure.name],
        "cpu_seconds": {
            "minimum": figure.minimum,
            "median": figure.median,
            "runs": [run.cpu_seconds for run in figure.runs],
        },
        "peak_bytes": figure.peak_bytes if figure.name in OURS else None,
        "lines_per_cpu_second": _per_second(measurement, figure),
        "microseconds_per_event": figure.minimum / measurement.events * 1e6,
        "times_grep": _ratio(measurement, figure, "grep"),
        "times_loop": _ratio(measurement, figure, "orjson"),
    }


def _per_second(measurement: Measurement, figure: Figure) -> float | None:
    """None where the process was too short for the kernel's clock."""
    return measurement.plan.lines / figure.minimum if figure.minimum else None


def _figure_row(measurement: Measurement, figure: Figure) -> Row:
    rate = _per_second(measurement, figure)
    event = f"{figure.minimum / measurement.events * 1e6:.1f}" if figure.name in (*OURS, "orjson", "post") else ""
    return (
        measurement.plan.name,
        TITLES[figure.name],
        f"{figure.minimum:.3f}",
        f"{figure.median:.3f}",
        f"{rate:,.0f}" if rate else "",
        event,
        _times(_ratio(measurement, figure, "grep")),
        _times(_ratio(measurement, figure, "orjson")),
        f"{figure.peak_bytes / MB:.0f}" if figure.name in OURS else "",
    )


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f}"


def _plain(head: Row, rows: list[Row]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(_padded(row, widths) for row in (head, *rows))


def _padded(row: Row, widths: list[int]) -> str:
    """The first two columns to the left, figures to the right."""
    cells = (
        cell.ljust(width) if place < 2 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _piped(head: Row, rows: list[Row], numbers_from: int) -> str:
    rule = tuple("---" if place < numbers_from else "--:" for place in range(len(head)))
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))
