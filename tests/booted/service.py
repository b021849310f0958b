"""connlog in the container, and a coderd there that logs numbered events to its stderr, which journald reads."""

from __future__ import annotations

import json
import shlex
from typing import Any

from tests.booted.machine import Machine
from tests.conservation import COUNTERS, assert_rows

UNIT = "connlog.service"
CODER = "coder.service"
CONFIG = "/etc/connlog/connlog.toml"
DROP_IN = "/etc/systemd/system/connlog.service.d/test.conf"
STATE = "/var/lib/connlog"
CREDENTIAL = "/etc/credstore/connlog.hec-token"
LIMIT = f"/etc/systemd/system/{CODER}.d/limit.conf"
WRITER = "/usr/local/lib/coder-double.py"
COUNTER = "/var/lib/coder-double/next"
CATCH_UP_SECONDS = 120.0
CODER_UNIT = f"""[Unit]
Description=coderd, as far as its log goes
[Service]
ExecStart=/usr/bin/python3 -u {WRITER} {COUNTER}
StateDirectory=coder-double
LogRateLimitIntervalSec=0
"""
TO_FILE = """StandardError=append:/var/log/coder/coderd.log
"""
METRICS = '[metrics]\nlisten = "127.0.0.1:0"\n'
"""The container shares this machine's addresses, and whatever else may listen there."""
FILE_INPUT = METRICS + '[[input]]\ntype = "file"\npaths = ["/var/log/coder/*.log"]\n'
NUMBERS = """
import json, sqlite3, sys
db = sqlite3.connect("file:/var/lib/connlog/index.db?mode=ro", uri=True, timeout=60)
print(json.dumps([int.from_bytes(row[0], "big") - 1 for row in db.execute("SELECT event FROM events")]))
"""
COUNTED = f"""
import json, os, sqlite3
path = "/var/lib/connlog/journal.db"
rows = sqlite3.connect(path, timeout=60).execute("{COUNTERS}").fetchall() if os.path.exists(path) else []
print(json.dumps(rows))
"""
CODERD = '''
"""Logs numbered events as coderd does, beside other lines; goes on with the number where it was ended."""
import json, pathlib, signal, sys, time, uuid

counter = pathlib.Path(sys.argv[1])
ending = []
signal.signal(signal.SIGTERM, lambda *_: ending.append(1))
number = int(counter.read_text()) if counter.exists() else 0


def as_json(number):
    fields = {"ID": str(uuid.UUID(int=number + 1)), "Time": "2026-09-01T10:00:00.123456789Z",
              "WorkspaceID": str(uuid.UUID(int=8)), "AgentName": "main", "Type": "ssh",
              "ConnectionID": str(uuid.UUID(int=number + 10**9)), "ConnectionStatus": "connected", "Ip": "10.0.0.1"}
    if number % 97 == 3:
        fields["UserAgent"] = "x" * 70_000
    return json.dumps({"ts": "2026-09-01T10:00:00.123456789Z", "level": "INFO", "msg": "connection_log",
                       "logger_names": ["coderd"], "fields": fields})


def as_human(number):
    return (f"2026-09-01 10:00:00.123 [info]  coderd: connection_log  ID={uuid.UUID(int=number + 1)}  "
            f"WorkspaceID={uuid.UUID(int=8)}  WorkspaceName=dev  AgentName=main  Type=ssh  Code=<nil>  Ip=10.0.0.1  "
            f'UserAgent=""  UserID=<nil>  ConnectionID={uuid.UUID(int=number + 10**9)}  DisconnectReason=""  '
            f'Time="2026-09-01T10:00:00.123456789Z"  ConnectionStatus=connected')


while not ending:
    print((as_human if number % 3 else as_json)(number), file=sys.stderr)
    if number % 5 == 0:
        print("2026-09-01 10:00:00.123 [info]  coderd: something else  count=1", file=sys.stderr)
    number += 1
    new = counter.with_suffix(".new")
    new.write_text(str(number))
    new.rename(counter)
    time.sleep(0.005)
'''


class Booted:
    """connlog as a service of ``machine``, whose command line is ``program``."""

    def __init__(self, machine: Machine, program: str = "/opt/connlog/bin/connlog") -> None:
        self.machine = machine
        self._program = program
        self._since = "@0"

    def reset(self) -> None:
        """Stop both services and forget all they kept."""
        self.machine.sh(
            f"systemctl stop {UNIT} {CODER} 2>/dev/null || true\n"
            f"systemctl reset-failed {UNIT} {CODER} 2>/dev/null || true\n"
            f"! mountpoint -q {STATE} || umount {STATE}\n"
            f"rm -rf {STATE} /var/lib/coder-double /var/log/coder /etc/systemd/system/connlog.service.d {CONFIG} {CREDENTIAL}\n"
            # What journald threw away it tells of when the unit writes again, which would be in another test.
            f"! test -e {LIMIT} || {{ rm {LIMIT}; systemctl restart systemd-journald.service; }}\n"
            "systemctl daemon-reload\n"
            # Numbers begin anew: what earlier tests logged must be gone.
            "journalctl --quiet --rotate --vacuum-size=1"
        )
        self._since = "@" + self.machine.run("date", "+%s.%N").stdout.strip()

    def configure(self, text: str, *, drop_in: str = "") -> None:
        """Write the configuration, and lines for the unit's section [Service]."""
        self.machine.write(CONFIG, text)
        if drop_in:
            self.machine.write(DROP_IN, f"[Service]\n{drop_in}")
            self.machine.run("systemctl", "daemon-reload")

    def start(self) -> None:
        self.machine.run("systemctl", "start", UNIT)

    def reload(self) -> None:
        """Reload, as an operator does; it must be taken over."""
        done = self.machine.run("systemctl", "reload", UNIT, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{self.said()[-3000:]}"

    # ---- coderd ----------------------------------------------------------------------------

    def start_coder(self, *, to_file: bool = False) -> None:
        """Let the events flow into the journal, or into a file, from the number where they were left."""
        if to_file:
            # systemd opens it as root; rsyslog would make it so.
            self.machine.sh(
                "install -d -g adm -m 0750 /var/log/coder; cd /var/log/coder\n"
                "test -e coderd.log || install -g adm -m 0640 /dev/null coderd.log"
            )
        self.machine.write(WRITER, CODERD)
        self.machine.write(f"/etc/systemd/system/{CODER}", CODER_UNIT + (TO_FILE if to_file else ""))
        self.machine.run("systemctl", "daemon-reload")
        self.machine.run("systemctl", "start", CODER)

    def limit_coder(self, *, burst: int, seconds: int) -> None:
        """From its next start on journald takes so many lines of it in a time, and throws away the others."""
        self.machine.write(LIMIT, f"[Service]\nLogRateLimitIntervalSec={seconds}s\nLogRateLimitBurst={burst}\n")
        self.machine.run("systemctl", "daemon-reload")

    def stop_coder(self) -> int:
        """Let them end; returns how many were logged, counted from 0."""
        self.machine.run("systemctl", "stop", CODER)
        return self.logged

    @property
    def logged(self) -> int:
        return int(self.machine.read(COUNTER) or 0)

    # ---- what connlog made of it -----------------------------------------------------------

    def indexed(self) -> list[int]:
        """The numbers of the events in the index, one for each row, in order."""
        done = self.machine.run("/usr/bin/python3", "-c", NUMBERS, check=False)
        return sorted(json.loads(done.stdout)) if done.returncode == 0 else []

    def assert_conserved(self) -> None:
        """Over all lives of the service no entry of any source was lost count of."""
        self.machine.run("systemctl", "stop", UNIT, check=False)
        rows = json.loads(self.machine.run("/usr/bin/python3", "-c", COUNTED).stdout)
        assert_rows([tuple(row) for row in rows])

    def status(self) -> dict[str, Any]:
        """What the daemon says of itself; empty before its first word."""
        found: dict[str, Any] = json.loads(self.machine.read(f"{STATE}/status.json") or "{}")
        return found

    def await_more(self) -> None:
        """Wait until events are in the index that are logged from now on."""
        before = self.logged
        self.machine.wait_for(
            lambda: len(self.indexed()) > before + 20, (f"more than {before} events indexed", UNIT), CATCH_UP_SECONDS
        )

    def await_indexed(self, count: int, *, lost: frozenset[int] = frozenset()) -> None:
        """Wait until the index holds each of the first ``count`` events once, and no other."""
        expected = [number for number in range(count) if number not in lost]
        self.machine.wait_for(
            lambda: len(self.indexed()) >= len(expected), (f"{count} events indexed", UNIT), CATCH_UP_SECONDS
        )
        found = self.indexed()
        lacking, odd = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
        assert found == expected, f"lacking {lacking[:20]}, odd {odd[:20]}, {len(found) - len(set(found))} doubled"

    def said(self) -> str:
        """All that the service, and systemd of it, wrote to the journal since ``reset``."""
        return self.machine.journal(UNIT, f"--since={self._since}")

    def connlog(self, *words: str, user: str = "connlog", check: bool = True) -> str:
        """Run the command line as a user; returns both its streams."""
        command = " ".join(map(shlex.quote, (self._program, *words)))
        done = self.machine.run("runuser", "-u", user, "--", "bash", "-c", f"cd /; {command} 2>&1", check=check)
        return done.stdout
