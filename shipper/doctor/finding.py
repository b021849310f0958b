"""The finding: one thing that a check has seen, how grave it is, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

OK, NOTE, WARNING, PROBLEM = "ok", "note", "warning", "problem"
SEVERITIES = (PROBLEM, WARNING, NOTE, OK)
"""The gravest first. A problem keeps events from where they should be, or will; a warning may, or hides something; a
note is worth knowing, or says that something could not be looked at."""


class Finding(Struct, frozen=True):
    """``check`` is the name of what looked, ``where`` a path, an option or a unit; ``advice`` is empty where all is well.

    Holds no text of a log and no secret.
    """

    check: str
    severity: str
    where: str
    what: str
    advice: str = ""


def ok(check: str, where: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, OK, where, what)


def note(check: str, where: str, what: str, advice: str = "") -> Finding:
    """Worth knowing."""
    return Finding(check, NOTE, where, what, advice)


def warning(check: str, where: str, what: str, advice: str) -> Finding:
    """May lose or hide something."""
    return Finding(check, WARNING, where, what, advice)


def problem(check: str, where: str, what: str, advice: str) -> Finding:
    """Keeps events from where they should be, or will."""
    return Finding(check, PROBLEM, where, what, advice)


def by_gravity(findings: Iterable[Finding]) -> list[Finding]:
    """The gravest first, otherwise in the order of the checks."""
    return sorted(findings, key=lambda one: SEVERITIES.index(one.severity))


def worst(findings: Iterable[Finding]) -> str:
    """The gravest severity, ok where there is no finding."""
    return min((one.severity for one in findings), key=SEVERITIES.index, default=OK)
