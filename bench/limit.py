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

Unit = Literal["µs an event", "× loop", "MB"]


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
    return [verdict for measurement in measurements for verdict in (_speed(measurement), *_memory(measurement))]


def _speed(measurement: Measurement) -> Verdict:
    parse, grep, loop = (measurement.figure(name) for name in ("parse", "grep", "orjson"))
    assert parse
    assert grep
    if loop:
        factor = LOOP_FACTOR[measurement.plan.format]
        return _verdict(
            measurement,
            f"parse: at most {factor:g} × the loop",
            "× loop",
            factor,
            parse.minimum / loop.minimum,
            parse.median / loop.median,
        )

    def beyond(seconds: float, grep_seconds: float) -> float:
        return (seconds - GREP_FACTOR * grep_seconds) / measurement.events * 1e6

    return _verdict(
        measurement,
        f"parse: at most {GREP_FACTOR:g} × grep, and {SPARSE_EVENT_MICROSECONDS:g} µs an event",
        "µs an event",
        SPARSE_EVENT_MICROSECONDS,
        beyond(parse.minimum, grep.minimum),
        beyond(parse.median, grep.median),
    )


def _memory(measurement: Measurement) -> tuple[Verdict, Verdict]:
    parse = measurement.figure("parse")
    assert parse
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
