"""The examination: every check on one case, each in a thread of its own and within a bound of time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module

from shipper.doctor.case import Case
from shipper.doctor.finding import Finding, problem, warning
from shipper.errors import ConnlogError

CHECK_SECONDS = 20.0
"""What all checks may take together, since they run side by side; each step of one has a shorter limit of its own."""
Check = Callable[[Case], Iterator[Finding]]
CHECKS = {
    "service": "shipper.doctor.service",
    "daemon": "shipper.doctor.daemon",
    "permissions": "shipper.doctor.permission",
    "sandbox": "shipper.doctor.sandbox",
    "state": "shipper.doctor.folder",
    "disk": "shipper.doctor.disk",
    "index": "shipper.doctor.index",
    "rotation": "shipper.doctor.rotation",
    "journald": "shipper.doctor.journald",
    "secrets": "shipper.doctor.secret",
    "splunk": "shipper.doctor.collector",
    "coder": "shipper.doctor.coder",
    "clock": "shipper.doctor.clock",
    "time-zone": "shipper.doctor.zone",
    "versions": "shipper.doctor.version",
}
"""Each check by its name, in the order of the answer, and the module whose ``examine`` does it."""


class _Work:
    """One check under way: what it has found so far."""

    def __init__(self, name: str, check: Check, case: Case) -> None:
        self.name = name
        self.findings: list[Finding] = []
        self._check = check
        self._case = case
        self.thread = threading.Thread(target=self._run, name=f"check-{name}", daemon=True)

    def _run(self) -> None:
        try:
            for finding in self._check(self._case):
                self.findings.append(finding)
        except (ConnlogError, OSError) as error:
            self.findings.append(warning(self.name, self.name, f"could not be looked at: {error}", "mend that first"))
        except Exception as error:  # noqa: BLE001 - the boundary of a worker: one check that fails must not end the others
            what = f"the check itself failed: {type(error).__name__}; this is a fault of connlog, please report it"
            self.findings.append(warning(self.name, self.name, what, "the other checks are not touched by it"))


def examine(case: Case, names: Sequence[str] = tuple(CHECKS), seconds: float = CHECK_SECONDS) -> list[Finding]:
    """What was found, check by check. One that does not end in time is a finding itself, and is left behind."""
    works = [_Work(name, import_module(CHECKS[name]).examine, case) for name in names]
    for work in works:
        work.thread.start()
    deadline = time.monotonic() + seconds
    found = list(case.findings)
    for work in works:
        work.thread.join(max(0.0, deadline - time.monotonic()))
        found += list(work.findings)
        if work.thread.is_alive():
            what = f"did not end in {seconds:g} seconds: a file system or a program does not answer"
            advice = "look whether a mount hangs (df, mount), or systemd (systemctl)"
            found.append(problem(work.name, work.name, what, advice))
    return found
