"""``connlog service`` writes what a service needs, says each step, does nothing twice, and touches nothing of others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from shipper.cli.main import main
from shipper.errors import ServiceError
from shipper.resource import read_data
from shipper.service.installation import (
    CONFIG,
    FILES,
    hindrances,
    install_steps,
    own_program,
    uninstall_steps,
)

PROGRAM = Path("/opt/other/bin/connlog")


def install(root: Path) -> list[str]:
    """Do every step; gives what was done."""
    done = []
    for step in install_steps(root, PROGRAM, now=True):
        if step.do is not None:
            step.do()
            done.append(step.what)
    return done


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_an_installation_writes_its_files_once(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        assert len(install(tmp_path)) == len(FILES) + 1
    finally:
        os.umask(old)
    written = files(tmp_path)
    assert set(written) == {*FILES, CONFIG}
    assert written[CONFIG].decode() == read_data("config/connlog.toml")
    unit = written["etc/systemd/system/connlog.service"].decode()
    assert f"ExecStart={PROGRAM} run" in unit
    assert "/opt/connlog" not in unit
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in written} == {0o644}
    folders = [path for path in tmp_path.rglob("*") if path.is_dir() and path.name != "xdg-state"]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o755}
    assert install(tmp_path) == []
    assert files(tmp_path) == written


def test_a_unit_of_an_older_version_is_renewed_and_a_configuration_is_kept(tmp_path: Path) -> None:
    install(tmp_path)
    unit = tmp_path / "etc/systemd/system/connlog.service"
    unit.write_text("# connlog's own, as it was\n[Service]\n")
    (tmp_path / CONFIG).write_text("[metrics]\n")
    assert install(tmp_path) == [f"renew {unit}"]
    assert (tmp_path / CONFIG).read_text() == "[metrics]\n"


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True)
    path.write_text("[Service]\nExecStart=/bin/mine\n")
    with pytest.raises(ServiceError, match="was not written by connlog"):
        install(tmp_path)
    with pytest.raises(ServiceError, match="was not written by connlog"):
        list(uninstall_steps(tmp_path, purge=True))
    assert path.read_text() == "[Service]\nExecStart=/bin/mine\n"


def test_a_removal_keeps_what_was_collected_unless_told_otherwise(tmp_path: Path) -> None:
    install(tmp_path)
    state = tmp_path / "var/lib/connlog/journal.db"
    state.parent.mkdir(parents=True)
    state.write_text("events")
    assert main(["service", "uninstall", "--root", str(tmp_path), "--dry-run", "--purge"]) == 0
    assert len(files(tmp_path)) == len(FILES) + 2
    assert main(["service", "uninstall", "--root", str(tmp_path)]) == 0
    assert set(files(tmp_path)) == {CONFIG, "var/lib/connlog/journal.db"}
    assert main(["service", "uninstall", "--root", str(tmp_path), "--purge"]) == 0
    assert files(tmp_path) == {}
    assert main(["service", "uninstall", "--root", str(tmp_path)]) == 0


def test_what_the_service_could_not_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "bin" / "connlog"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    told = "; ".join(hindrances(program))
    assert str(program) in told
    assert "which the service does not see" in told or "is closed to other users at" in told
    if hindrances(own_program()):
        assert main(["service", "install", "--root", str(tmp_path)]) == 4
        assert "install it where all may read, such as /opt/connlog" in capsys.readouterr().err
        assert not (tmp_path / "etc").exists()


def test_a_program_that_is_not_installed_is_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(ServiceError, match="is not installed"):
        own_program()


def test_who_is_not_root_is_told_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main(["service", "uninstall"]) == 4
    assert "this takes root" in capsys.readouterr().err
