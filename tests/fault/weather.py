"""The weather at the HEC of a campaign: a server in the campaign's own process that outlives every daemon and often fails."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path

from tests.hec import fault
from tests.hec.ack import AckRules
from tests.hec.fault import Fault
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token
from tests.hec.wire import Request

FAULTS: dict[str, Fault] = {
    "busy": fault.code(9, retry_after="1"),
    "internal error, taken": fault.code(8, take=True),
    "internal error, not taken": fault.code(8),
    "queue full": fault.code(26),
    "reset before the body": fault.reset_before(),
    "reset after the body, taken": fault.reset_after(take=True),
    "reset after the body, not taken": fault.reset_after(take=False),
    "reset in the answer, taken": fault.reset_in_answer(take=True),
    "a proxy's page, not taken": fault.html(200),
    "bad gateway, taken": fault.html(502, take=True),
    "unauthorised": fault.code(3),
    "slow answer": fault.slow_answer(0.3),
}
ACK_FAULTS: dict[str, Fault] = {
    "ack: internal error": fault.code(8),
    "ack: a proxy's page": fault.html(200),
    "ack: answer lost": fault.reset_after(take=True),
    "ack: not found": fault.status(404),
}
SHARE = 0.08
"""Of the requests, those that something happens to."""


class Weather:
    """A HEC whose token uses acks, failing as ``seed`` says; what is indexed is on disk too, in ``recording``."""

    def __init__(self, recording: Path, seed: int) -> None:
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self.met = Counter[str]()
        self.server = HecServer(Token(use_ack=True), ack=AckRules(delay_seconds=0.3), recording=recording)
        self.server.script.rule(self._fault_of)

    def options(self, token_file: Path) -> str:
        """The output's table in the configuration, and the token's file."""
        token_file.write_text(f"{TOKEN}\n")
        token_file.chmod(0o600)
        return (
            f'[[output]]\ntype = "splunk_hec"\nendpoints = ["{self.server.url}"]\ntoken_file = "{token_file}"\n'
            'index = "main"\nack = "required"\nack_poll = "300ms"\nack_timeout = "5s"\nbackoff_max = "1s"\nbatch_age = "200ms"\n'
        )

    def change(self) -> None:
        """Between two lives of the daemon: the server may crash and lose what it has not acknowledged, or go, or come."""
        with self._lock:
            what = self._chance.choices(("nothing", "crash", "down", "up"), (60, 15, 10, 15))[0]
        if what == "crash":
            self.met["crash"] += 1
            self.met["events lost in crashes"] += self.server.restart(lose_unacknowledged=True)
        elif what == "down":
            self.met["down"] += 1
            self.server.down()
        else:
            self._up()

    def clear(self) -> None:
        """From now on all is well."""
        self.server.script.clear()
        self._up()

    def _up(self) -> None:
        if not self.server.listens:
            self.server.up()

    def _fault_of(self, request: Request) -> Fault | None:
        faults = {"event": FAULTS, "ack": ACK_FAULTS}.get(request.service)
        with self._lock:
            if faults is None or self._chance.random() > SHARE:
                return None
            name = self._chance.choice(list(faults))
            self.met[name] += 1
            return faults[name]
