"""A limit that the project sets itself, and whether a measurement keeps it."""

from __future__ import annotations

from typing import Literal

import msgspec

from bench.measurement import Measurement

GREP_FACTOR = 1.6
SPARSE_EVENT_MICROSECONDS = 12.0
LOOP_FACTOR = {"json": 4.0, "human": 5.5}
PEAK_MB = 80.0
GROWTH_MB = 4.0
"""Four times the lines may move the peak by this much: the allocator's steps, not the file."""
MB = 1_000_000
HEC_LOOP_FACTOR = {"json": 5.0, "human": 7.0}
HEC_GREP_FACTOR = 2.5
HEC_SPARSE_EVENT_MICROSECONDS = 15.0
COMPARED_LOOP_MICROSECONDS = 2.3
"""What the loop takes a line on a machine to compare with, as limits of time do not move with the machine's speed."""
POST_FACTOR = 1.5
OUTPUT_GROWTH_MB = 8.0
"""Of the HEC output; more than the parser's, as its threads have memory pools of their own."""

Unit = Literal["µs an event", "× loop", "× post", "MB"]


class Verdict(msgspec.Struct, frozen=True):
    """One limit on one load. ``measured`` is from the runs' minimum, ``median`` from their median; memory has one."""

    load: str
    limit: str
    unit: Unit
    allowed: float
    measured: float
    median: float
    met: bool


def judge(measurements: list[Measurement]) -> list[Verdict]:
    """Every limit on every load that it is set for, in the order of the loads; speed counts by the minimum."""
    return [
        verdict
        for measurement in measurements
        for verdict in (
            *_speed(measurement, "parse", LOOP_FACTOR, GREP_FACTOR, SPARSE_EVENT_MICROSECONDS),
            *_memory(measurement),
            *_speed(measurement, "hec", HEC_LOOP_FACTOR, HEC_GREP_FACTOR, HEC_SPARSE_EVENT_MICROSECONDS),
            *_output(measurement),
        )
    ]


def _speed(
    measurement: Measurement,
    name: Literal["parse", "hec"],
    loop_factor: dict[str, float],
    grep_factor: float,
    event_microseconds: float,
) -> tuple[Verdict, ...]:
    ours, grep, loop = (measurement.figure(each) for each in (name, "grep", "orjson"))
    if ours is None:
        return ()
    title = "parse" if name == "parse" else "run to HEC"
    if loop:
        factor = loop_factor[measurement.plan.format]
        verdict = _verdict(
            measurement,
            f"{title}: at most {factor:g} × the loop",
            "× loop",
            factor,
            ours.minimum / loop.minimum,
            ours.median / loop.median,
        )
        return (verdict,)
    assert grep

    def beyond(seconds: float, grep_seconds: float) -> float:
        return (seconds - grep_factor * grep_seconds) / measurement.events * 1e6

    verdict = _verdict(
        measurement,
        f"{title}: at most {grep_factor:g} × grep, and {event_microseconds:g} µs an event",
        "µs an event",
        event_microseconds,
        beyond(ours.minimum, grep.minimum),
        beyond(ours.median, grep.median),
    )
    return (verdict,)


def _output(measurement: Measurement) -> tuple[Verdict, ...]:
    post, output = measurement.figure("post"), measurement.figure("output")
    if post is None or output is None or measurement.backlog is None:
        return ()
    growth = (output.peak_bytes - measurement.backlog.quarter_peak_bytes) / MB
    return (
        _verdict(
            measurement,
            f"HEC output alone: at most {POST_FACTOR:g} × dump, gzip and post",
            "× post",
            POST_FACTOR,
            output.minimum / post.minimum,
            output.median / post.median,
        ),
        _verdict(
            measurement,
            "HEC output alone: peak flat, from a quarter to the whole",
            "MB",
            OUTPUT_GROWTH_MB,
            growth,
            growth,
        ),
    )


def _memory(measurement: Measurement) -> tuple[Verdict, ...]:
    parse = measurement.figure("parse")
    if parse is None:
        return ()
    peak = parse.peak_bytes / MB
    growth = peak - measurement.quarter_peak_bytes / MB
    return (
        _verdict(measurement, f"parse: peak under {PEAK_MB:g} MB", "MB", PEAK_MB, peak, peak),
        _verdict(measurement, "parse: peak flat, from a quarter to the whole", "MB", GROWTH_MB, growth, growth),
    )


def _verdict(
    measurement: Measurement, limit: str, unit: Unit, allowed: float, measured: float, median: float
) -> Verdict:
    return Verdict(measurement.plan.name, limit, unit, allowed, measured, median, measured <= allowed)
