"""The service, installed as README says, in a running systemd: nothing is lost however it is stopped, and the operator sees why."""

from __future__ import annotations

import json
import re
import signal

import pytest

from tests.booted.conftest import SOURCE
from tests.booted.service import CONFIG, CREDENTIAL, DROP_IN, FILE_INPUT, METRICS, STATE, UNIT, Booted

pytestmark = [pytest.mark.slow, pytest.mark.booted, pytest.mark.timeout(900)]

QUICK = "RestartSec=1s\n"
SMALL_DISK_MIB = 24


def follow(booted: Booted, text: str = FILE_INPUT, drop_in: str = QUICK) -> None:
    """coderd logs into a file, the service reads it, and the first events are there."""
    booted.configure(text, drop_in=drop_in)
    booted.start_coder(to_file=True)
    booted.start()
    booted.await_more()


def test_the_start_is_over_when_it_works_and_tells_what_goes_on(booted: Booted) -> None:
    follow(booted)
    machine = booted.machine
    line = r"reading 1 source, .* behind; [1-9]\d* events stored, .* in the journal; index: \d+ pending"
    machine.wait_for(lambda: re.fullmatch(line, machine.show(UNIT, "StatusText")["StatusText"]), ("figures", UNIT))
    facts = machine.show(UNIT, "Type", "ActiveState", "MainPID", "NRestarts")
    assert (facts["Type"], facts["ActiveState"], facts["NRestarts"]) == ("notify", "active", "0")
    process = machine.read(f"/proc/{facts['MainPID']}/status")
    assert re.search(r"^CapEff:\t0+$", process, re.MULTILINE)
    assert re.search(r"^CapBnd:\t0+$", process, re.MULTILINE)
    assert re.search(r"^NoNewPrivs:\t1$", process, re.MULTILINE)
    assert machine.sh(f"stat -c %U:%G:%a {STATE}").strip() == "connlog:connlog:750"
    machine.sh("getent passwd reader || useradd --groups connlog reader")
    assert "dev" in booted.connlog("search", "type:ssh", "--limit", "3", user="reader")
    assert "reading" in booted.connlog("status", user="reader")
    booted.await_indexed(booted.stop_coder())


def test_nothing_is_lost_or_doubled_over_restart_and_kill(booted: Booted) -> None:
    follow(booted)
    machine = booted.machine
    machine.run("systemctl", "restart", UNIT)
    booted.await_more()
    pid = machine.show(UNIT, "MainPID")["MainPID"]
    machine.kill(UNIT, signal.SIGKILL)
    machine.wait_for(lambda: machine.show(UNIT, "MainPID")["MainPID"] not in ("0", pid), ("a new process", UNIT))
    booted.await_more()
    booted.await_indexed(booted.stop_coder())
    assert "code=killed, status=9/KILL" in booted.said()
    assert machine.show(UNIT, "NRestarts")["NRestarts"] == "1"


def test_a_reload_reads_a_new_file_and_the_process_stays(booted: Booted) -> None:
    follow(booted)
    machine = booted.machine
    pid = machine.show(UNIT, "MainPID")["MainPID"]
    machine.sh("install -d -g adm -m 0750 /var/log/coder/more; echo '[info] x' >/var/log/coder/more/other.log")
    machine.write(CONFIG, FILE_INPUT.replace('"]', '", "/var/log/coder/more/*.log"]'))
    machine.run("systemctl", "reload", UNIT)
    machine.wait_for(lambda: booted.status()["files_count"] == 2, ("the new file", UNIT))
    booted.await_more()
    assert machine.show(UNIT, "MainPID")["MainPID"] == pid
    assert "reloaded: input files" in booted.said()
    booted.await_indexed(booted.stop_coder())


def test_an_invalid_configuration_fails_the_reload_and_all_goes_on(booted: Booted) -> None:
    follow(booted)
    machine = booted.machine
    machine.write(CONFIG, FILE_INPUT + "[log]\nlevle = 1\n")
    assert machine.run("systemctl", "reload", UNIT, check=False).returncode != 0
    assert "log.levle" in booted.said()
    # One that only the daemon can judge is refused by it.
    machine.write(CONFIG, FILE_INPUT + '[state]\ndir = "/var/lib/connlog/other"\n')
    assert machine.run("systemctl", "reload", UNIT, check=False).returncode != 0
    machine.wait_for(
        lambda: "the last reload was refused" in machine.show(UNIT, "StatusText")["StatusText"], ("the refusal", UNIT)
    )
    assert "state.dir has changed" in booted.said()
    machine.write(CONFIG, FILE_INPUT)
    assert "RELOAD REFUSED" in booted.connlog("status")
    booted.await_more()
    machine.run("systemctl", "reload", UNIT)
    assert "RELOAD REFUSED" not in booted.connlog("status")
    booted.await_indexed(booted.stop_coder())
    assert machine.show(UNIT, "ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}


def test_an_invalid_configuration_at_the_start_is_enough_to_mend(booted: Booted) -> None:
    machine = booted.machine
    booted.configure("[input]\n", drop_in=QUICK)
    booted.start_coder(to_file=True)
    assert machine.run("systemctl", "start", UNIT, check=False).returncode != 0
    assert f"{CONFIG}:1: input: must be a list of tables" in booted.said()
    machine.write(CONFIG, FILE_INPUT)
    machine.wait_for(lambda: machine.show(UNIT, "ActiveState")["ActiveState"] == "active", ("the start", UNIT))
    booted.await_indexed(booted.stop_coder())


def test_a_thread_that_hangs_is_named_and_started_again(booted: Booted) -> None:
    machine = booted.machine
    hang = f"{STATE}/hang"
    program = f"/opt/connlog/bin/python {SOURCE}/tests/booted/hang.py {hang} run"
    follow(booted, drop_in=f"{QUICK}WatchdogSec=4s\nExecStart=\nExecStart={program}\n")
    machine.run("runuser", "-u", "connlog", "--", "touch", hang)
    machine.wait_for(
        lambda: "STALLED: files" in machine.show(UNIT, "StatusText")["StatusText"], ("the word of the stall", UNIT)
    )
    machine.wait_for(lambda: machine.show(UNIT, "NRestarts")["NRestarts"] == "1", ("the watchdog", UNIT), 60)
    booted.await_more()
    booted.await_indexed(booted.stop_coder())
    said = booted.said()
    assert "the thread files makes no progress" in said
    assert "Watchdog timeout" in said
    # Every thread says where it stood.
    assert "hang.py" in said.partition("Watchdog timeout")[2]


def test_a_full_disk_pauses_and_goes_on_by_itself(booted: Booted) -> None:
    machine = booted.machine
    machine.sh(
        f"install -d -o connlog -g connlog -m 0750 {STATE}\n"
        f"mount -t tmpfs -o size={SMALL_DISK_MIB}m,mode=0750,uid=connlog,gid=connlog tmpfs {STATE}"
    )
    follow(booted)
    machine.sh(f"dd if=/dev/zero of={STATE}/ballast bs=1M count=100 2>/dev/null", check=False)
    machine.wait_for(lambda: "PAUSED" in machine.show(UNIT, "StatusText")["StatusText"], ("the pause", UNIT), 60)
    before = booted.logged
    machine.wait_for(lambda: booted.logged > before + 100, "events meanwhile")
    machine.sh(f"rm {STATE}/ballast")
    machine.wait_for(lambda: "PAUSED" not in machine.show(UNIT, "StatusText")["StatusText"], ("the end of it", UNIT))
    booted.await_more()
    # The start waits for room too, and is up meanwhile: the machine must not wait for it.
    machine.run("systemctl", "stop", UNIT)
    machine.sh(f"dd if=/dev/zero of={STATE}/ballast bs=1M count=100 2>/dev/null", check=False)
    machine.run("systemctl", "start", UNIT, check=False)
    machine.sh(f"rm {STATE}/ballast")
    booted.await_more()
    booted.await_indexed(booted.stop_coder())
    assert machine.show(UNIT, "ActiveState", "NRestarts") == {"ActiveState": "active", "NRestarts": "0"}


def test_a_reboot_loses_nothing(booted: Booted) -> None:
    follow(booted)
    machine = booted.machine
    machine.run("systemctl", "enable", UNIT)
    try:
        machine.reboot()
        assert machine.show(UNIT, "ActiveState")["ActiveState"] == "active"
        booted.start_coder(to_file=True)
        booted.await_more()
        booted.await_indexed(booted.stop_coder())
    finally:
        machine.run("systemctl", "disable", UNIT)


def test_a_credential_is_there_after_a_restart_and_none_is_needed(booted: Booted) -> None:
    machine = booted.machine
    folder = f"/run/credentials/{UNIT}"
    follow(booted)
    assert machine.run("ls", folder, check=False).stdout == ""
    for token in ("first-token", "second-token"):
        machine.write(CREDENTIAL, token, 0o600)
        machine.run("systemctl", "restart", UNIT)
        assert machine.read(f"{folder}/hec-token") == token
        assert machine.run("runuser", "-u", "nobody", "--", "cat", f"{folder}/hec-token", check=False).returncode != 0
    booted.await_indexed(booted.stop_coder())
    assert "-token" not in booted.said()


def test_the_log_has_priorities_and_is_json_on_request(booted: Booted) -> None:
    follow(booted, METRICS + '[[input]]\ntype = "file"\npaths = ["/var/log/coder/*.log", "/var/log/nothing/*.log"]\n')
    machine = booted.machine
    machine.run("journalctl", "--sync")
    entries = [json.loads(line) for line in booted.machine.journal(UNIT, "-o", "json", "--boot").splitlines()]
    own = {entry["MESSAGE"]: entry["PRIORITY"] for entry in entries if entry["_COMM"] == "connlog"}
    assert {priority for text, priority in own.items() if "reads into" in text} == {"6"}
    assert {priority for text, priority in own.items() if text.startswith("/var/log/nothing:")} == {"4"}
    assert {entry["SYSLOG_IDENTIFIER"] for entry in entries if entry["_COMM"] == "connlog"} == {"connlog"}
    machine.write(CONFIG, FILE_INPUT + '[log]\nformat = "json"\n')
    machine.run("systemctl", "reload", UNIT)
    machine.wait_for(lambda: '"message": "reloaded: input files, log"' in booted.said(), ("a line of JSON", UNIT))
    booted.await_indexed(booted.stop_coder())


def test_a_drop_in_lets_it_read_files_of_another_group(booted: Booted) -> None:
    machine = booted.machine
    machine.sh("getent group coder || groupadd --system coder")
    booted.configure(FILE_INPUT)
    booted.start_coder(to_file=True)
    machine.sh("chgrp -R coder /var/log/coder")
    booted.start()
    machine.wait_for(lambda: "Permission denied" in booted.said(), ("the refusal", UNIT))
    machine.wait_for(lambda: "/var/log/coder" in booted.connlog("status"), ("the refusal in the status", UNIT))
    machine.write(DROP_IN, machine.read(f"{SOURCE}/systemd/examples/coder-logs.conf"))
    machine.sh(f"systemctl daemon-reload; systemctl restart {UNIT}")
    booted.await_more()
    booted.await_indexed(booted.stop_coder())


def test_an_installation_can_be_repeated_and_taken_away(booted: Booted) -> None:
    machine = booted.machine
    follow(booted, drop_in="")
    program = "/opt/connlog/bin/connlog"
    again = machine.run(program, "service", "install", "--now").stdout
    assert not re.findall(r"do +(?:write|renew|start it now)", again)
    assert machine.run(program, "service", "status").stdout.count("as this version has it") == 3
    booted.await_indexed(booted.stop_coder())
    machine.run(program, "service", "uninstall")
    try:
        assert machine.show(UNIT, "LoadState", "ActiveState") == {"LoadState": "not-found", "ActiveState": "inactive"}
        assert machine.run(program, "service", "status", check=False).returncode == 1
        assert machine.run("test", "-e", f"{STATE}/journal.db").returncode == 0
        assert machine.read(CONFIG) == FILE_INPUT
    finally:
        machine.run(program, "service", "install")


def test_an_upgrade_renews_the_unit_and_starts_it_again(booted: Booted) -> None:
    machine = booted.machine
    follow(booted, drop_in="")
    pid = machine.show(UNIT, "MainPID")["MainPID"]
    machine.sh(f"sed -i s/^Nice=5/Nice=6/ /etc/systemd/system/{UNIT}")
    assert machine.run("/opt/connlog/bin/connlog", "service", "status", check=False).returncode == 1
    did = machine.run("/opt/connlog/bin/connlog", "service", "install", "--now").stdout
    assert f"do  renew /etc/systemd/system/{UNIT}" in did
    assert "do  start it now" in did
    facts = machine.show(UNIT, "MainPID", "Nice", "ActiveState")
    assert facts["MainPID"] != pid
    assert (facts["Nice"], facts["ActiveState"]) == ("5", "active")
    machine.run("systemctl", "disable", UNIT)
    booted.await_more()
    booted.await_indexed(booted.stop_coder())


def test_the_running_unit_is_rated_as_the_documentation_says(booted: Booted) -> None:
    rated = booted.machine.run("systemd-analyze", "security", "--no-pager", UNIT).stdout
    assert re.search(r"Overall exposure level for connlog.service: (?:1\.[01]|0\.\d) ", rated)
