"""In a running systemd the doctor finds a sound service sound, and each trap of an installation; check --connect tries it for real."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.booted.service import CODER, CONFIG, CREDENTIAL, FILE_INPUT, METRICS, UNIT, Booted
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token

HERE_ONLY = {"clock"}
"""What is this machine's and not the container's: nothing keeps its clock."""


@pytest.fixture
def server() -> Iterator[HecServer]:
    with HecServer(Token(use_ack=True)) as one:
        yield one


def hec(server: HecServer, more: str = "") -> str:
    return (
        f'{FILE_INPUT}{more}[[output]]\ntype = "index"\n'
        f'[[output]]\ntype = "splunk_hec"\nendpoints = ["{server.url}"]\ntoken_file = "hec-token"\nack = "required"\n'
    )


def doctor(booted: Booted, *words: str, user: str = "root") -> list[dict[str, Any]]:
    said = json.loads(booted.connlog("doctor", "--output", "json", *words, user=user, check=False))
    found: list[dict[str, Any]] = said["findings"]
    return [one for one in found if one["check"] not in HERE_ONLY]


def told(found: list[dict[str, Any]], *severities: str) -> list[str]:
    return [f"{one['check']}: {one['where']}: {one['what']}" for one in found if one["severity"] in severities]


def test_a_sound_service_has_no_problem_whoever_asks(booted: Booted, server: HecServer) -> None:
    machine = booted.machine
    booted.configure(hec(server))
    machine.write(CREDENTIAL, TOKEN, 0o600)
    booted.start_coder(to_file=True)
    machine.run("systemctl", "enable", "--quiet", UNIT)
    booted.start()
    try:
        booted.await_more()
        found = doctor(booted)
        assert not told(found, "problem", "warning")
        sound = "\n".join(told(found, "ok"))
        for part in (
            f"service: {UNIT}: active (running)",
            "account: connlog: is as whom permissions are looked at",
            "permissions: input[1].paths[1]: connlog may read the 1 file of /var/log/coder/*.log",
            f"secrets: output[2].token_file: the token is there ({CREDENTIAL})",
            "offers acknowledgement",
            "index: /var/lib/connlog/index.db: can be asked",
        ):
            assert part in sound, sound
        # Its own user may look too, and whoever has no rights hears what could not be looked at; neither is told the token.
        for user in ("connlog", "nobody"):
            said = booted.connlog("doctor", user=user, check=False)
            assert "Traceback" not in said
            assert TOKEN not in said
        assert TOKEN not in booted.connlog("doctor", "--bundle", "/root/doctor.tar.gz", user="root", check=False)
        assert machine.sh("stat -c %a /root/doctor.tar.gz").strip() == "600"
        assert machine.sh(f"tar -xzOf /root/doctor.tar.gz | grep -cF {TOKEN} || true").strip() == "0"
        assert "reads into /var/lib/connlog" in machine.sh("tar -xzOf /root/doctor.tar.gz connlog-doctor/log.txt")
        tried = booted.connlog("check", "--connect", "-c", CONFIG, user="root")
        assert "takes the token" in tried
        assert "connlog may read the 1 file" in tried
        # Nothing that was looked at is anybody else's now.
        assert machine.sh("find /var/lib/connlog ! -user connlog").strip() == ""
    finally:
        machine.run("systemctl", "disable", "--quiet", UNIT)
        machine.sh("rm -f /root/doctor.tar.gz")
        booted.stop_coder()


def test_each_trap_of_an_installation_is_found_with_what_to_do(booted: Booted, server: HecServer) -> None:
    machine = booted.machine
    machine.sh(
        "install -d -m 0700 /var/log/coder; echo x >/var/log/coder/coderd.log\n"
        "install -d -m 0755 /tmp/coder; echo x >/tmp/coder/coderd.log"
    )
    traps = '[[input]]\ntype = "file"\npaths = ["/tmp/coder/*.log"]\n[[input]]\ntype = "journald"\nunits = ["nothere.service"]\n'
    booted.configure(hec(server, traps))
    try:
        found = doctor(booted)
        bad = "\n".join(told(found, "problem", "warning"))
        for part in (
            "connlog may not list /var/log/coder (drwx------ root root)",
            "the service does not see /tmp/coder: PrivateTmp=yes gives it a /tmp of its own",
            "systemd knows no unit nothere.service",
            "hec-token is not there",
            f"{UNIT}: does not run: inactive",
            f"{UNIT}: is not started with the system",
            "no daemon runs on this state folder",
        ):
            assert part in bad, bad
        assert all(one["advice"] for one in found if one["severity"] in ("problem", "warning"))
        machine.write(CREDENTIAL, TOKEN, 0o644)
        booted.start()
        machine.write(CREDENTIAL, "00000000-2222-4333-8444-555555555555", 0o600)
        # As a command leaves behind that root ran without being the service's user.
        machine.run("install", "-m", "0640", "/dev/null", "/var/lib/connlog/stray.db")
        bad = "\n".join(told(doctor(booted), "problem", "warning"))
        assert "was replaced since the service started, which still has the former token" in bad
        assert "/var/lib/connlog/stray.db belongs to root" in bad
        tried = booted.connlog("check", "--connect", "-c", CONFIG, user="root", check=False)
        assert "Invalid token" in tried
    finally:
        machine.sh("rm -rf /tmp/coder")


def test_what_journald_threw_away_and_a_journal_in_memory_are_told(booted: Booted) -> None:
    machine = booted.machine
    booted.configure(METRICS + '[[input]]\ntype = "journald"\nunits = ["coder.service"]\n')
    booted.start_coder()
    # What it writes in a minute is compared with what it may write.
    machine.wait_for(lambda: booted.logged > 200, "events of the last minute")
    booted.limit_coder(burst=20, seconds=5)
    machine.run("systemctl", "restart", CODER)
    machine.wait_for(
        lambda: "threw away" in "\n".join(told(doctor(booted), "problem")), "the word of journald about it", 90
    )
    bad = "\n".join(told(doctor(booted), "problem", "warning"))
    assert "it may write 20 entries in 5 s (its own limit" in bad
    assert "connlog may read the journal" in "\n".join(told(doctor(booted), "ok"))
