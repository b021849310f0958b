"""A measurement: what every subject cost on one load, over several runs that took turns."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from bench.hec import OutputCost, backlog_of
from bench.load import Load, Plan, make
from bench.process import Cost
from bench.subject import TITLES, Name, count_records, measure, names_of


class Figure(msgspec.Struct, frozen=True):
    """The runs of one subject on one load, in their order."""

    name: Name
    runs: tuple[Cost, ...]

    @property
    def minimum(self) -> float:
        """CPU seconds: the run that others on the machine disturbed least."""
        return min(run.cpu_seconds for run in self.runs)

    @property
    def median(self) -> float:
        """CPU seconds."""
        return statistics.median(run.cpu_seconds for run in self.runs)

    @property
    def peak_bytes(self) -> int:
        """The greatest of all runs."""
        return max(run.peak_bytes for run in self.runs)


class BacklogFigures(msgspec.Struct, frozen=True):
    """What else bringing out a full journal told: the rate by the clock, bytes of a request's body for each event, and
    the peak for a quarter of the events."""

    events_per_second: float
    plain_bytes_per_event: float
    sent_bytes_per_event: float
    quarter_peak_bytes: int


class Measurement(msgspec.Struct, frozen=True):
    """One load and its figures; ``quarter_peak_bytes`` is what ``connlog parse`` held for a quarter of its lines, 0
    where it isn't measured.

    ``backlog`` is there for the load whose events were brought out of a full journal too.
    """

    plan: Plan
    bytes: int
    events: int
    figures: tuple[Figure, ...]
    quarter_peak_bytes: int
    backlog: BacklogFigures | None = None

    def figure(self, name: Name) -> Figure | None:
        """None where the subject isn't measured on this load."""
        return next((figure for figure in self.figures if figure.name == name), None)


def run(
    plans: tuple[Plan, ...], generator: Path, folder: Path, runs_count: int, tell: Callable[[str], None]
) -> Iterator[Measurement]:
    """Measure each load in turn; within one, every subject runs once before any runs again.

    A load's file goes when it is done, but the JSON lines that the human form is compared with stay for that long.
    """
    short, long = ([plan for plan in plans if plan.long == is_long] for is_long in (False, True))
    with _made(short[0], generator, folder) as json:
        first = _measure(json, json, generator, folder, runs_count, tell)
        yield _with_backlog(first, json, generator, folder, runs_count, tell)
        for plan in short[1:]:
            with _made(plan, generator, folder) as load:
                yield _measure(load, json, generator, folder, runs_count, tell)
    with _made(long[0], generator, folder) as json:
        yield _measure(json, json, generator, folder, runs_count, tell)
        for plan in long[1:]:
            with _made(plan, generator, folder) as load:
                yield _measure(load, json, generator, folder, runs_count, tell)


@contextmanager
def _made(plan: Plan, generator: Path, folder: Path) -> Iterator[Load]:
    path = folder / f"{plan.format}-{plan.lines}-{plan.share:g}.log"
    try:
        yield make(plan, generator, path)
    finally:
        path.unlink(missing_ok=True)


def _measure(
    load: Load, json: Load, generator: Path, folder: Path, runs_count: int, tell: Callable[[str], None]
) -> Measurement:
    plan = load.plan
    names = names_of(plan)
    small_peak_bytes = 0
    if "parse" in names:
        with _made(plan.quarter(), generator, folder) as quarter:
            tell(f"{plan.name}: counting the records of a quarter")
            small_peak_bytes = count_records(quarter, folder).peak_bytes
    costs: dict[Name, list[Cost]] = {name: [] for name in names}
    for number in range(1, runs_count + 1):
        for name in names:
            tell(f"{plan.name}: {TITLES[name]}, run {number} of {runs_count}")
            costs[name].append(measure(name, load, json, folder))
    figures = tuple(Figure(name, tuple(runs)) for name, runs in costs.items())
    return Measurement(plan, load.bytes, load.events, figures, small_peak_bytes)


def _with_backlog(
    measurement: Measurement, json: Load, generator: Path, folder: Path, runs_count: int, tell: Callable[[str], None]
) -> Measurement:
    """The same measurement with the output alone and its reference."""
    with _made(json.plan.quarter(), generator, folder) as quarter, backlog_of(quarter, folder) as backlog:
        tell(f"{json.plan.name}: bringing out a quarter of the journal")
        small = backlog.output()
    posts: list[Cost] = []
    outputs: list[OutputCost] = []
    with backlog_of(json, folder) as backlog:
        tell(f"{json.plan.name}: bringing out the journal for its bodies")
        backlog.output(keep_bodies=True)
        for number in range(1, runs_count + 1):
            tell(f"{json.plan.name}: {TITLES['post']} and {TITLES['output']}, run {number} of {runs_count}")
            posts.append(backlog.reference())
            outputs.append(backlog.output())
    best = max(outputs, key=lambda run: run.received.events_per_second).received
    return msgspec.structs.replace(
        measurement,
        figures=(
            *measurement.figures,
            Figure("post", tuple(posts)),
            Figure("output", tuple(run.cost for run in outputs)),
        ),
        backlog=BacklogFigures(
            best.events_per_second, best.plain / best.events, best.sent / best.events, small.cost.peak_bytes
        ),
    )
