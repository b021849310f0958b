"""Each thing that goes wrong around an installation is found, where it is, with what to do; a sound one has no problem."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shipper.doctor import clock, disk, folder, journald, permission, rotation, sandbox, secret, service, version, zone
from shipper.doctor.account import Account
from shipper.doctor.case import Case
from shipper.doctor.unit import Unit
from tests.doctor.conftest import Systemd, case_of, told, write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shipper.doctor.finding import Finding

NOBODY = Account("connlog", 12_001, frozenset((12_001,)))
JOURNALD = '[[input]]\ntype = "journald"\nunits = ["coder.service"]\n'


def files(folder_: Path) -> str:
    return f'[[input]]\ntype = "file"\npaths = ["{folder_}/*.log"]\n'


def made(path: Path, mode: int) -> None:
    """An empty file of that mode, whatever the umask."""
    path.touch()
    path.chmod(mode)


def as_(case: Case, account: Account) -> Case:
    import msgspec

    return msgspec.structs.replace(case, account=account)


def unit_of(**facts: str) -> Unit:
    return Unit("connlog.service", {"LoadState": "loaded", "ActiveState": "active", **facts})


@pytest.fixture
def logs() -> Iterator[Path]:
    """A folder for logs that everybody may reach."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def found(check: object, case: Case) -> list[Finding]:
    return list(check.examine(case))  # type: ignore[attr-defined]


# ---- permissions ---------------------------------------------------------------------------


def test_a_file_that_the_service_may_not_read_is_a_problem(tmp_path: Path, logs: Path) -> None:
    made(logs / "coderd.log", 0o600)
    case = as_(case_of(write(logs, files(logs))), NOBODY)
    said = told(found(permission, case), "problem")
    assert f"connlog may not read {logs}/coderd.log (-rw-------" in said
    assert "SupplementaryGroups=" in said


def test_a_folder_that_may_not_be_listed_is_a_problem(logs: Path) -> None:
    inner = logs / "coder"
    inner.mkdir()
    inner.chmod(0o700)
    case = as_(case_of(write(logs, files(inner))), NOBODY)
    assert f"connlog may not list {inner}" in told(found(permission, case), "problem")


def test_files_that_may_be_read_are_well(logs: Path) -> None:
    made(logs / "coderd.log", 0o644)
    case = as_(case_of(write(logs, files(logs))), NOBODY)
    assert not told(found(permission, case), "problem")
    assert "connlog may read the 1 file of" in told(found(permission, case), "ok")


def test_a_configuration_that_anyone_may_change_is_a_problem(logs: Path) -> None:
    path = write(logs, "")
    path.chmod(0o666)
    assert "may be changed by everyone" in told(found(permission, case_of(path)), "problem")


# ---- the sandbox ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "facts", "said"),
    [
        ("/tmp/coder", {"PrivateTmp": "yes"}, "PrivateTmp=yes gives it a /tmp of its own"),
        ("/var/tmp/coder", {"PrivateTmp": "yes"}, "PrivateTmp=yes gives it a /var/tmp of its own"),
        ("/home/coder/logs", {"ProtectHome": "yes"}, "ProtectHome=yes hides /home"),
        ("/srv/coder", {"InaccessiblePaths": "-/srv /opt"}, "InaccessiblePaths= hides /srv"),
    ],
)
def test_a_path_that_the_unit_hides_is_a_problem(
    tmp_path: Path, systemd: Systemd, path: str, facts: dict[str, str], said: str
) -> None:
    systemd(LoadState="not-found")
    case = case_of(write(tmp_path, files(Path(path))), unit=unit_of(**facts))
    assert said in told(found(sandbox, case), "problem")
    shown = case_of(write(tmp_path, files(Path(path))), unit=unit_of(**facts, BindReadOnlyPaths=f"{path}:{path}:rbind"))
    assert said not in told(found(sandbox, shown), "problem")


def test_a_link_into_what_the_unit_hides_is_a_problem(logs: Path, tmp_path: Path, systemd: Systemd) -> None:
    systemd(LoadState="not-found")
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (logs / "coder").symlink_to(hidden)
    case = case_of(write(tmp_path, files(logs / "coder")), unit=unit_of(InaccessiblePaths=str(hidden)))
    assert f"InaccessiblePaths= hides {hidden}" in told(found(sandbox, case), "problem")


def test_coderd_that_writes_to_its_own_temporary_folder_is_told(tmp_path: Path, systemd: Systemd) -> None:
    systemd(LoadState="loaded", PrivateTmp="yes")
    case = case_of(write(tmp_path, files(Path("/tmp/coder"))))
    assert "coder.service has PrivateTmp=yes: what it writes there is seen by nobody else" in told(
        found(sandbox, case), "warning"
    )


def test_a_state_folder_that_the_unit_may_not_write_is_a_problem(tmp_path: Path, systemd: Systemd) -> None:
    systemd(LoadState="not-found")
    path = write(tmp_path, "")
    strict = unit_of(ProtectSystem="strict", StateDirectory="connlog")
    assert "ProtectSystem=strict" in told(found(sandbox, case_of(path, unit=strict)), "problem")
    widened = unit_of(ProtectSystem="strict", StateDirectory="connlog", ReadWritePaths=str(tmp_path))
    assert "ProtectSystem" not in told(found(sandbox, case_of(path, unit=widened)), "problem")


# ---- state and disk ------------------------------------------------------------------------


def test_a_file_of_another_owner_in_the_state_folder_is_a_problem(logs: Path) -> None:
    state = logs / "state"
    state.mkdir(mode=0o750)
    made(state / "index.db", 0o640)
    case = case_of(write(logs, ""))
    me = Account("connlog", os.getuid(), frozenset((os.getgid(),)))
    assert not told(found(folder, as_(case, me)), "problem")
    assert "may not write into" in told(found(folder, as_(case, NOBODY)), "problem")
    state.chmod(0o777)
    said = found(folder, as_(case, NOBODY))
    assert f"{state}/index.db belongs to " in told(said, "problem")
    assert "is open to others than its group" in told(said, "warning")


def test_a_journal_that_others_may_read_is_a_warning(logs: Path) -> None:
    state = logs / "state"
    state.mkdir(mode=0o750)
    (state / "journal.db").touch()
    (state / "journal.db").chmod(0o644)
    assert "chmod 600" in told(found(folder, case_of(write(logs, ""))), "warning")


def test_a_journal_that_may_grow_beyond_the_disk_is_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    path.write_text(path.read_text().replace("[metrics]", 'journal_max = "900TiB"\n[metrics]'))
    said = found(disk, case_of(path))
    assert "the disk is full before state.journal_max is reached" in told(said, "warning")
    path.write_text(path.read_text().replace("900TiB", "16MiB"))
    assert "may be needed beside the index" in told(found(disk, case_of(path)), "ok")


def test_the_kind_of_file_system_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:9 / {tmp_path} rw,relatime shared:1 - nfs4 server:/x rw\n"
    )
    monkeypatch.setattr(disk, "MOUNTS", mounts)
    assert "lies on nfs4" in told(found(disk, case_of(write(tmp_path, ""))), "problem")
    mounts.write_text("1 0 8:1 / / rw - ext4 /dev/sda rw\nnonsense\n")
    assert not told(found(disk, case_of(write(tmp_path, ""))), "problem")


# ---- rotation ------------------------------------------------------------------------------


def test_a_file_that_coderd_rotates_fast_is_told_with_how_long_a_line_lives(tmp_path: Path) -> None:
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S.000", time.gmtime(time.time() - 60))
    (tmp_path / f"coderd-{stamp}.log").touch()
    (tmp_path / "coderd.log").write_bytes(b"x" * (4 << 20))
    (tmp_path / "other.log").write_bytes(b"x" * 1000)
    said = found(rotation, case_of(write(tmp_path, files(tmp_path))))
    assert "coderd rotates it at 5 MiB and keeps one" in told(said, "problem")
    assert f"rotation: {tmp_path}/coderd.log" in told(said, "problem")
    assert "other.log" not in told(said, "problem")
    assert 'type = "journald"' in told(said, "problem")


def test_a_file_that_coderd_rotates_seldom_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "coderd-2026-01-01T00-00-00.000.log").touch()
    (tmp_path / "coderd.log").write_bytes(b"x" * 1000)
    said = found(rotation, case_of(write(tmp_path, files(tmp_path))))
    assert not told(said, "problem") + told(said, "warning")
    assert "writes almost nothing" in told(said, "ok")


# ---- journald ------------------------------------------------------------------------------


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for journald's configuration, and a journal that is kept."""
    monkeypatch.setattr(journald, "CONF_FOLDERS", (str(tmp_path / "lib"), str(tmp_path / "etc")))
    monkeypatch.setattr(journald, "PERSISTENT", tmp_path / "journal")
    (tmp_path / "journal").mkdir()
    (tmp_path / "etc" / "journald.conf.d").mkdir(parents=True)
    (tmp_path / "lib" / "journald.conf.d").mkdir(parents=True)
    return tmp_path


def test_drop_ins_take_the_place_of_the_file_as_systemd_reads_them(conf: Path) -> None:
    (conf / "etc" / "journald.conf").write_text("[Journal]\n#Storage=none\nStorage=volatile\nRateLimitBurst=5\n")
    (conf / "lib" / "journald.conf.d" / "50-a.conf").write_text("Storage=none\n")
    (conf / "etc" / "journald.conf.d" / "50-a.conf").write_text("Storage=persistent\n")
    (conf / "lib" / "journald.conf.d" / "60-b.conf").write_text("RateLimitBurst=7\n")
    assert journald.configuration() == {"Storage": "persistent", "RateLimitBurst": "7"}


def test_a_journal_in_memory_is_a_warning_and_none_a_problem(conf: Path, systemd: Systemd) -> None:
    systemd("{}\n", LoadState="loaded")
    case = case_of(write(conf, JOURNALD))
    assert "kept over a reboot (Storage=auto)" in told(found(journald, case), "ok")
    (conf / "journal").rmdir()
    assert "lies in memory" in told(found(journald, case), "warning")
    (conf / "etc" / "journald.conf").write_text("Storage=none\n")
    assert "nothing is kept" in told(found(journald, case), "problem")


def test_a_unit_near_its_rate_limit_is_a_warning(conf: Path, systemd: Systemd) -> None:
    systemd("a line\n" * 300, LoadState="loaded", LogRateLimitBurst="100")
    said = told(found(journald, case_of(write(conf, JOURNALD))), "warning")
    assert "coder.service wrote 300 entries in the last 60 s; it may write 100 entries in 30 s (its own limit" in said
    assert "LogRateLimitIntervalSec=0" in said
    (conf / "etc" / "journald.conf").write_text("RateLimitIntervalSec=0\n")
    systemd("a line\n" * 300, LoadState="loaded", LogRateLimitBurst="0")
    assert "has no rate limit" in told(found(journald, case_of(write(conf, JOURNALD))), "ok")


def test_what_journald_threw_away_is_a_problem(conf: Path, systemd: Systemd) -> None:
    systemd('{"UNIT":"coder.service","N_DROPPED":"41"}\n{"UNIT":"other.service","N_DROPPED":"9"}\nno json\n')
    assert "threw away 41 entries of coder.service" in told(found(journald, case_of(write(conf, JOURNALD))), "problem")


def test_a_unit_that_systemd_does_not_know_is_a_warning(conf: Path, systemd: Systemd) -> None:
    systemd("", LoadState="not-found")
    assert "systemd knows no unit coder.service" in told(found(journald, case_of(write(conf, JOURNALD))), "warning")


def test_a_unit_in_another_namespace_is_a_problem(conf: Path, systemd: Systemd) -> None:
    systemd("x\n", LoadState="loaded", LogNamespace="coder")
    assert 'set namespace = "coder"' in told(found(journald, case_of(write(conf, JOURNALD))), "problem")


# ---- secrets -------------------------------------------------------------------------------


def hec(folder_: Path, name: str = "hec-token") -> str:
    return f'[[output]]\ntype = "splunk_hec"\nendpoints = ["http://127.0.0.1:9"]\ntoken_file = "{name}"\n'


def test_a_token_that_is_missing_open_or_none_is_a_problem(logs: Path) -> None:
    case = case_of(write(logs, hec(logs)))
    assert "hec-token is not there" in told(found(secret, case), "problem")
    token = logs / "hec-token"
    token.write_text("11111111-2222-4333-8444-555555555555\n")
    token.chmod(0o644)
    said = found(secret, case)
    assert "is open to everyone on this machine" in told(said, "problem")
    token.chmod(0o600)
    assert "the token is there" in told(found(secret, case), "ok")
    assert "may not read" in told(found(secret, as_(case, NOBODY)), "problem")
    token.write_text("two words\n")
    assert "is no token" in told(found(secret, case), "problem")
    token.unlink()
    os.mkfifo(token, 0o600)
    assert "is no regular file" in told(found(secret, case), "problem")


def test_a_token_of_the_credential_store_is_found_and_one_that_was_replaced_is_told(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, handed = logs / "store", logs / "run" / "connlog.service"
    store.mkdir()
    handed.mkdir(parents=True)
    (store / "connlog.hec-token").write_text("new-token\n")
    (store / "connlog.hec-token").chmod(0o600)
    (handed / "hec-token").write_text("old-token\n")
    fragment = logs / "connlog.service"
    fragment.write_text(f"[Service]\nLoadCredential=hec-token:{store}/connlog.hec-token\n")
    monkeypatch.setattr(secret, "HANDED", logs / "run")
    case = case_of(write(logs, hec(logs)), unit=unit_of(FragmentPath=str(fragment)))
    said = found(secret, as_(case, NOBODY))
    assert "was replaced since the service started" in told(said, "warning")
    assert "systemctl restart connlog" in told(said, "warning")
    assert "old-token" not in str(said)
    assert "new-token" not in str(said)
    (handed / "hec-token").write_text("new-token\n")
    assert "the token is there" in told(found(secret, as_(case, NOBODY)), "ok")


# ---- clock, zone, versions, service ----------------------------------------------------------


def test_the_clock_is_asked(tmp_path: Path) -> None:
    said = [one for one in found(clock, case_of(write(tmp_path, ""))) if one.where == "system"]
    assert len(said) == 1
    assert "synchronised" in said[0].what


def test_a_daemon_of_the_future_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    status = tmp_path / "state" / "status.json"
    status.touch()
    os.utime(status, (time.time() + 3600,) * 2)
    assert "the clock was set back" in told(found(clock, case_of(write(tmp_path, ""))), "warning")


def test_stamps_in_another_zone_are_told(tmp_path: Path) -> None:
    log = tmp_path / "coderd.log"
    now = time.time()

    def stamp(hours: float) -> None:
        text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now + hours * 3600))
        log.write_text(f"{text}.123 [info]  coderd: something\n")

    case = case_of(write(tmp_path, files(tmp_path)))
    stamp(2)
    assert "is +2.00 h from when the file was written" in told(found(zone, case), "warning")
    stamp(-5.5)
    assert "is -5.50 h" in told(found(zone, case), "warning")
    for hours in (0, 0.37, 90):
        stamp(hours)
        assert not told(found(zone, case), "warning"), hours


def test_a_state_folder_of_a_newer_connlog_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with closing(sqlite3.connect(tmp_path / "state" / "journal.db")) as database:
        database.execute("PRAGMA user_version = 9999")
    said = told(found(version, case_of(write(tmp_path, ""))), "problem")
    assert "was written by a newer connlog (schema 9999" in said


def test_a_unit_that_starts_another_connlog_is_told(tmp_path: Path) -> None:
    program = tmp_path / "connlog"
    program.write_text("#!/bin/sh\necho connlog 0.0.1\n")
    program.chmod(0o755)
    fragment = tmp_path / "connlog.service"
    fragment.write_text(f"[Service]\nExecStart={program} run\n")
    case = case_of(write(tmp_path, ""), unit=unit_of(FragmentPath=str(fragment)))
    assert f"starts {program}, version 0.0.1" in told(found(version, case), "warning")


def test_a_service_that_failed_restarts_or_is_not_enabled_is_told(tmp_path: Path) -> None:
    unit = unit_of(ActiveState="failed", SubState="failed", Result="watchdog", NRestarts="3", UnitFileState="disabled")
    said = found(service, case_of(write(tmp_path, ""), unit=unit))
    assert "does not run: failed (failed, watchdog)" in told(said, "problem")
    assert "started it again 3 times" in told(said, "warning")
    assert "is not started with the system" in told(said, "warning")
