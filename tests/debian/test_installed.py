"""The package in a running systemd, without a network: put in, started, renewed, taken away; events are lost by none of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.booted.machine import UMASK, Machine
from tests.booted.service import CONFIG, FILE_INPUT, STATE, UNIT, Booted

pytestmark = [pytest.mark.slow, pytest.mark.booted, pytest.mark.packaging, pytest.mark.timeout(900)]

PROGRAM = "/usr/bin/connlog"
FIRST, NEWER = "/root/connlog.deb", "/root/connlog-newer.deb"
TOKEN = "/etc/credstore/connlog.hec-token"
COMPLETES = (
    'COMP_LINE="connlog quar"; COMP_POINT=12; compopt() { :; }; _connlog_completion connlog; echo "${COMPREPLY[@]}"'
)


@pytest.fixture(scope="module")
def packages(package: Path, machine: Machine, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """The machine with two packages on it, the second with a higher version, neither installed."""
    tree = tmp_path_factory.mktemp("newer") / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True, umask=UMASK)
    control = tree / "DEBIAN" / "control"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 1:"))
    newer = tree.with_name("newer.deb")
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, newer],
        check=True,
        capture_output=True,
        umask=UMASK,
    )
    machine.write(FIRST, package.read_bytes())
    machine.write(NEWER, newer.read_bytes())
    return machine


@pytest.fixture
def booted(packages: Machine) -> Iterator[Booted]:
    """The service of the package, which is not installed yet; nothing of it is left afterwards."""
    one = Booted(packages, PROGRAM)
    packages.sh("dpkg --purge connlog", check=False)
    one.reset()
    packages.sh("rm -rf /etc/connlog")
    yield one
    packages.sh(f"dpkg --purge connlog; ! mountpoint -q {STATE} || umount {STATE}; rm -f {TOKEN}", check=False)


def install(machine: Machine, path: str = FIRST) -> None:
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    machine.run("apt-get", "install", "--yes", path, env=quiet, seconds=120.0)


def follow(booted: Booted) -> None:
    """Installed, configured and started as the documentation says; events come in."""
    install(booted.machine)
    booted.configure(FILE_INPUT)
    booted.start_coder(to_file=True)
    booted.machine.run("systemctl", "enable", "--now", "connlog")
    booted.await_more()


def gone(machine: Machine, path: str) -> bool:
    return machine.run("test", "-e", path, check=False).returncode == 1


def test_it_is_installed_complete_and_waits_to_be_configured(booted: Booted) -> None:
    machine = booted.machine
    install(machine)
    facts = machine.show(UNIT, "LoadState", "ActiveState", "UnitFileState")
    assert facts == {"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "disabled"}
    assert machine.sh("getent passwd connlog").split(":")[5:] == ["/var/lib/connlog", "/usr/sbin/nologin\n"]
    assert machine.sh("stat -c %U:%a /etc/connlog /etc/credstore /etc/connlog/connlog.toml").split() == [
        *("root:755", "root:700", "root:644")
    ]
    assert machine.sh("connlog check").splitlines()[-1].startswith("OK")
    machine.run("systemd-analyze", "verify", UNIT)
    completes = f"source /usr/share/bash-completion/completions/connlog; {COMPLETES}"
    assert machine.run("bash", "-c", completes).stdout == "quarantine\n"
    assert machine.sh("dpkg --verify connlog") == ""
    # Compiled when it was installed: neither the service nor a user could write it.
    assert int(machine.sh("find /usr/lib/connlog -name '*.pyc' | wc -l")) > 500
    for words in ("install", "uninstall"):
        refused = machine.run("connlog", "service", words, check=False)
        assert "belongs to Debian's package" in refused.stderr
    # Who starts it before it is configured has a service that follows coderd's usual folder.
    machine.run("systemctl", "start", UNIT)
    booted.start_coder(to_file=True)
    booted.await_more()
    booted.await_indexed(booted.stop_coder())
    machine.run("systemctl", "stop", UNIT)
    # An upgrade does not start what is neither running nor enabled.
    install(machine, NEWER)
    assert machine.show(UNIT, "ActiveState")["ActiveState"] == "inactive"
    # State on a file system of its own is purged too.
    machine.sh(f"mount -t tmpfs tmpfs {STATE}; mkdir {STATE}/folder; touch {STATE}/folder/x")
    machine.run("dpkg", "--purge", "connlog")
    assert machine.sh(f"ls -A {STATE}") == ""


def test_an_upgrade_and_a_removal_lose_nothing_and_a_purge_leaves_nothing(booted: Booted) -> None:
    machine = booted.machine
    follow(booted)
    assert "by Debian's package" in machine.run("connlog", "service", "status").stdout
    assert machine.run("connlog", "doctor", check=False).returncode == 0
    hides = f"/etc/systemd/system/{UNIT}"
    machine.sh(f"cp /lib/systemd/system/{UNIT} {hides}")
    for words in (("service", "status"), ("doctor",)):
        said = machine.run("connlog", *words, check=False)
        assert hides in said.stdout + said.stderr
        assert "is taken instead of what" in said.stdout + said.stderr
    machine.sh(f"rm {hides}; systemctl daemon-reload")
    before = machine.show(UNIT, "MainPID")
    install(machine, NEWER)
    after = machine.show(UNIT, "MainPID", "ActiveState", "UnitFileState")
    assert (after["ActiveState"], after["UnitFileState"]) == ("active", "enabled")
    assert after["MainPID"] != before["MainPID"]
    assert machine.read(CONFIG) == FILE_INPUT
    booted.await_more()
    assert "main" in booted.connlog("search", "type:ssh", "--limit", "1")

    machine.run("apt-get", "remove", "--yes", "connlog")
    assert machine.show(UNIT, "ActiveState")["ActiveState"] == "inactive"
    assert gone(machine, PROGRAM)
    assert gone(machine, "/usr/lib/connlog")
    assert machine.read(CONFIG) == FILE_INPUT
    assert not gone(machine, f"{STATE}/index.db")
    install(machine)
    machine.run("systemctl", "enable", "--now", "connlog")
    booted.await_more()
    booted.await_indexed(booted.stop_coder())

    machine.write(TOKEN, "token", 0o600)
    purged = machine.run("apt-get", "purge", "--yes", "connlog")
    assert f"{TOKEN} was left" in purged.stdout + purged.stderr
    for path in (STATE, CONFIG, "/etc/connlog", PROGRAM, "/usr/lib/connlog"):
        assert gone(machine, path), path
    places = "/etc/systemd /var/lib/systemd/deb-systemd-helper-enabled"
    assert machine.sh(f"find {places} -name 'connlog*' 2>/dev/null || true") == ""
    assert machine.show(UNIT, "LoadState") == {"LoadState": "not-found"}
    assert machine.read(TOKEN) == "token"
    # The log is coderd's.
    assert not gone(machine, "/var/log/coder/coderd.log")
