"""The page: findings for people, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shipper.doctor.finding import OK, SEVERITIES, Finding, by_gravity

_WIDTH = 8
"""Of the longest severity's word, and one blank."""


def page(findings: Sequence[Finding], *, quiet: bool = False) -> Iterator[str]:
    """The lines; names in them may hold any character. ``quiet`` leaves out what is well."""
    for one in by_gravity(findings):
        if one.severity == OK:
            if not quiet:
                yield f"{one.severity:<{_WIDTH}} {one.check}: {one.where}: {one.what}"
            continue
        yield f"{one.severity:<{_WIDTH}} {one.check}: {one.where}: {one.what}"
        if one.advice:
            yield f"{'':<{_WIDTH}} → {one.advice}"
    counts = {word: sum(1 for one in findings if one.severity == word) for word in SEVERITIES}
    yield ", ".join(f"{count} {word}{'s' if word != OK and count != 1 else ''}" for word, count in counts.items())
