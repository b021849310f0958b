"""The history of one value: what it was when, from sightings that come in any order.

A sighting says that the value was this at that moment. Between the last sighting of one value and the first of
the next nobody looked; there the older one is taken.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from msgspec import Struct

SPANS_MAX_COUNT = 256
"""Values kept of one attribute; of more the oldest are forgotten."""


class Span(Struct, frozen=True):
    """A value with the times, ns, of its first and last sighting in a row; ``source`` is where it was seen first."""

    value: str
    first_ns: int
    last_ns: int
    source: str = ""


class Period(Struct, frozen=True):
    """When something held: from ``from_ns`` (None: ever before) until just before ``until_ns`` (None: ever after)."""

    from_ns: int | None
    until_ns: int | None


def observe(
    spans: Sequence[Span], value: str, at_ns: int, source: str = "", *, since_ns: int | None = None
) -> list[Span]:
    """The history with one more sighting; ``spans`` are in order and don't overlap, and so is the result.

    ``since_ns``: the value is known not to have changed from then on until ``at_ns``.
    """
    done = list(spans)
    at = bisect_right([span.first_ns for span in done], at_ns) - 1
    begin_ns = at_ns if since_ns is None else min(since_ns, at_ns)
    if at >= 0:
        before = done[at]
        if before.value == value:
            done[at] = Span(value, before.first_ns, max(before.last_ns, at_ns), before.source)
            return _earlier(done, at, begin_ns)
        if at_ns <= before.last_ns:
            # Something else in the midst of it: what was seen before and after stays seen.
            parts = [
                Span(before.value, before.first_ns, at_ns - 1, before.source),
                Span(value, at_ns, at_ns, source),
                Span(before.value, at_ns + 1, before.last_ns, before.source),
            ]
            done[at : at + 1] = [span for span in parts if span.first_ns <= span.last_ns]
            return _joined(done)[-SPANS_MAX_COUNT:]
    if at + 1 < len(done) and done[at + 1].value == value:
        after = done[at + 1]
        done[at + 1] = Span(value, at_ns, after.last_ns, source or after.source)
    else:
        done.insert(at + 1, Span(value, at_ns, at_ns, source))
    return _earlier(done, at + 1, begin_ns)[-SPANS_MAX_COUNT:]


def _joined(spans: list[Span]) -> list[Span]:
    """Without neighbours of one value."""
    done: list[Span] = []
    for span in spans:
        if done and done[-1].value == span.value:
            done[-1] = Span(span.value, done[-1].first_ns, span.last_ns, done[-1].source)
        else:
            done.append(span)
    return done


def _earlier(spans: list[Span], at: int, begin_ns: int) -> list[Span]:
    """Let the span at this place begin at ``begin_ns``, but not before the one before it was last seen."""
    span = spans[at]
    if at:
        begin_ns = max(begin_ns, spans[at - 1].last_ns + 1)
    if begin_ns < span.first_ns:
        spans[at] = Span(span.value, begin_ns, span.last_ns, span.source)
    return spans


def as_of(spans: Sequence[Span], at_ns: int) -> str | None:
    """The value at a moment; before the first sighting the first one, None where there is none at all."""
    found: str | None = None
    for span in spans:
        if found is not None and span.first_ns > at_ns:
            break
        found = span.value
    return found


def periods(spans: Sequence[Span], values: frozenset[str]) -> list[Period]:
    """When ``as_of`` gives one of ``values``, which are lower case, as few periods as possible."""
    found: list[Period] = []
    for number, span in enumerate(spans):
        if span.value.lower() not in values:
            continue
        begin = span.first_ns if number else None
        end = spans[number + 1].first_ns if number + 1 < len(spans) else None
        if found and found[-1].until_ns == begin:
            found[-1] = Period(found[-1].from_ns, end)
        else:
            found.append(Period(begin, end))
    return found
