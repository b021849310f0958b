"""The service: whether systemd runs it as this version has it, and what it had to do lately."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, ok, problem, warning
from shipper.errors import ServiceError
from shipper.service import installation

CHECK = "service"


def examine(case: Case) -> Iterator[Finding]:
    """The unit's state, its restarts, and whether its files are those of this version."""
    unit = case.unit
    if unit is None:
        return
    if unit.active:
        yield ok(CHECK, unit.name, f"{unit.says('ActiveState')} ({unit.says('SubState')})")
    else:
        result = unit.says("Result")
        why = "" if result in ("", "success") else f", {result}"
        text = f"does not run: {unit.says('ActiveState')} ({unit.says('SubState')}{why})"
        yield problem(CHECK, unit.name, text, f"journalctl -u {unit.name} says why; systemctl start {unit.name}")
    restarts = unit.says("NRestarts")
    if restarts.isdigit() and int(restarts) > 0:
        text = f"systemd started it again {restarts} times since it was started by hand or with the system"
        yield warning(CHECK, unit.name, text, f"journalctl -u {unit.name} -p warning says why")
    if unit.says("UnitFileState") not in ("enabled", "enabled-runtime", "static", "generated", "linked"):
        text = "is not started with the system, so a reboot ends it"
        yield warning(CHECK, unit.name, text, f"systemctl enable {unit.name}")
    if unit.says("NeedDaemonReload") == "yes":
        yield warning(CHECK, unit.name, "its files have changed since systemd read them", "systemctl daemon-reload")
    yield from _files()


def _files() -> Iterator[Finding]:
    if installation.is_packaged():
        for path in installation.hiding():
            advice = "remove it, then systemctl daemon-reload; changes of your own belong into a drop-in: systemctl edit connlog"
            yield warning(CHECK, str(path), "is taken instead of what Debian's package has", advice)
        return
    try:
        program = installation.own_program()
    except ServiceError:
        return
    for target, text in installation.wanted(program).items():
        path = Path("/") / target
        try:
            same = path.read_text(encoding="utf-8") == text
        except (OSError, ValueError):
            continue
        if not same:
            what = f"is not what this connlog ({program}) has"
            advice = (
                "'connlog service install' renews it; changes of your own belong into a drop-in: systemctl edit connlog"
            )
            yield warning(CHECK, str(path), what, advice)
