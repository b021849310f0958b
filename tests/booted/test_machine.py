"""What the other tests stand on: systemd is really running, nothing of it reaches this machine, and it survives a reboot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.booted.machine import Machine

pytestmark = [pytest.mark.slow, pytest.mark.booted]


def test_the_inner_init_is_systemd_with_a_journal_of_its_own(machine: Machine) -> None:
    assert machine.read("/proc/1/comm") == "systemd\n"
    own = machine.read("/etc/machine-id")
    outer = Path("/etc/machine-id")
    assert len(own) == 33
    assert not outer.exists() or own != outer.read_text()
    machine.run("journalctl", "--flush")
    assert own.strip() in machine.run("ls", "/var/log/journal").stdout.split()


def test_what_is_written_inside_stays_inside(machine: Machine) -> None:
    machine.write("/etc/connlog-booted-proof", "inside\n")
    assert machine.read("/etc/connlog-booted-proof") == "inside\n"
    assert not Path("/etc/connlog-booted-proof").exists()
    mounts = Path(f"/proc/{os.getpid()}/mounts").read_text()
    assert "connlog-booted" not in mounts
    assert not any("upperdir" in line and "machine0/disk" in line for line in mounts.splitlines())


def test_a_reboot_keeps_the_disk_and_forgets_the_memory(machine: Machine) -> None:
    boot = machine.read("/proc/sys/kernel/random/boot_id")
    machine.write("/var/lib/kept", "disk")
    machine.write("/run/forgotten", "memory")
    machine.reboot()
    assert machine.read("/proc/sys/kernel/random/boot_id") != boot
    assert machine.read("/var/lib/kept") == "disk"
    assert machine.read("/run/forgotten") == ""
