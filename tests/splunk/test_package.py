"""The package of the add-on is the same everywhere, holds what it must, and Splunk's own inspection has nothing to say."""

from __future__ import annotations

import fcntl
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shipper import __version__
from shipper.cli.main import main
from shipper.errors import StateError
from shipper.splunk import addon

ROOT = Path(__file__).parents[2]
ADDON = ROOT / "splunk" / addon.APP


def members(package: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        return archive.getmembers()


def content(package: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        file = archive.extractfile(f"{addon.APP}/{name}")
        assert file is not None
        return file.read()


def test_the_package_holds_exactly_what_git_knows_under_one_folder() -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "."], cwd=ADDON, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert tracked
    files = {entry.name for entry in members(addon.pack()) if entry.isfile()}
    assert files == {f"{addon.APP}/{name}" for name in tracked}


def test_owners_modes_times_and_order_are_fixed() -> None:
    entries = members(addon.pack())
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(e.uid, e.gid, e.uname, e.gname, e.mtime) for e in entries} == {(0, 0, "", "", 1_577_836_800)}
    assert {entry.mode for entry in entries if entry.isfile()} == {0o644}
    assert {entry.mode for entry in entries if entry.isdir()} == {0o755}


def test_the_same_version_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the clock, the umask, the owner's files' times and another process say."""
    target = tmp_path / "a.spl"
    code = "import os, sys; os.umask(0o077); from shipper.cli.main import main; sys.exit(main(sys.argv[1:]))"
    subprocess.run(
        [sys.executable, "-c", code, "splunk", "app", "-o", str(target)],
        cwd=tmp_path,
        env={**os.environ, "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7", "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    assert target.read_bytes() == addon.pack()
    assert target.stat().st_mode & 0o777 == 0o644
    assert gzip.decompress(target.read_bytes())[257:262] == b"ustar"


@pytest.mark.parametrize(
    ("version", "told"),
    [("1.2.3", "1.2.3"), ("1.2.3.dev4", "1.2.3-dev.4"), ("1.2.3rc1", "1.2.3-rc.1"), ("1.2.3a2", "1.2.3-a.2")],
)
def test_the_products_version_is_told_as_splunk_wants_it(version: str, told: str) -> None:
    app = content(addon.pack(version), "default/app.conf").decode()
    assert re.findall(r"^version = (.+)$", app, re.MULTILINE) == [told, told]
    assert "@" not in app


def test_a_version_of_no_known_form_is_refused() -> None:
    with pytest.raises(StateError, match="no form that Splunk knows"):
        addon.addon_version("1.2+local")


def test_a_stray_file_stops_the_packing_and_an_editors_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / addon.APP
    shutil.copytree(ADDON, copy)
    monkeypatch.setattr(addon, "data_folder", lambda _name: copy)
    (copy / ".DS_Store").write_text("x")
    assert addon.pack() == addon.pack()
    assert not any("DS_Store" in entry.name for entry in members(addon.pack()))
    (copy / "default" / "secret.pem").write_text("x")
    with pytest.raises(StateError, match=r"secret\.pem: does not belong"):
        addon.pack()
    (copy / "default" / "secret.pem").unlink()
    (copy / "default" / "link.conf").symlink_to("/etc/passwd")
    with pytest.raises(StateError, match=r"link\.conf"):
        addon.pack()
    (copy / "default" / "link.conf").unlink()
    (copy / "default" / "app.conf").unlink()
    with pytest.raises(StateError, match="not whole"):
        addon.pack()


def test_the_command_writes_whole_or_not_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["splunk", "app", "-o", str(tmp_path / "x.zip")]) == 2
    assert "*.tgz" in capsys.readouterr().err
    assert main(["splunk", "app", "-o", str(tmp_path / "no" / "x.tgz")]) == 4
    assert f"{tmp_path}/no/x.tgz: can't be written: No such file or directory" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "x.tgz").write_text("old")
    assert main(["splunk", "app", "-o", str(tmp_path / "x.tgz")]) == 0
    assert addon.addon_version(__version__) in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["x.tgz"]


@cache
def appinspect() -> Path:
    """Splunk's inspection in its own environment, made from its own lock on first use."""
    with (ROOT / "Makefile").open() as file:
        # Tests may run side by side, and only one of them may make it.
        fcntl.flock(file, fcntl.LOCK_EX)
        made = subprocess.run(
            ["make", "--silent", "appinspect"], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
        )
    if made.returncode:
        pytest.skip(f"splunk-appinspect can't be installed: {made.stderr.strip()[-300:]}")
    return ROOT / ".appinspect" / "bin" / "splunk-appinspect"


def inspect(package: Path, folder: Path, *tags: str) -> dict[str, Any]:
    report = folder / "report.json"
    wanted = [f"--included-tags={tag}" for tag in tags]
    done = subprocess.run(
        [appinspect(), "inspect", package, *wanted, "--data-format", "json", "--output-file", report],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found: dict[str, Any] = json.loads(report.read_text())
    return found


def complaints(report: dict[str, Any]) -> set[tuple[str, str]]:
    """Result and name of every check that is neither passed nor out of place."""
    checks = [check for one in report["reports"] for group in one["groups"] for check in group["checks"]]
    return {(c["result"], c["name"]) for c in checks if c["result"] not in ("success", "not_applicable")}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("tags", [(), ("cloud",), ("private_victoria",)], ids=["all", "cloud", "victoria"])
def test_splunk_appinspect_has_nothing_to_say(tags: tuple[str, ...], tmp_path: Path) -> None:
    """It ends with 0 on failures too, so its report is read: no error, failure, future failure or warning."""
    assert main(["splunk", "app", "-o", str(tmp_path / "app.tgz")]) == 0
    report = inspect(tmp_path / "app.tgz", tmp_path, *tags)
    assert report["summary"]["success"] > 90
    # Only packages with an app.manifest have a package id to check.
    assert complaints(report) <= {("skipped", "check_for_valid_package_id")}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_inspection_would_be_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An add-on with a dashboard of no version fails, though the program ends with 0."""
    copy = tmp_path / addon.APP
    shutil.copytree(ADDON, copy)
    view = copy / "default/data/ui/views/connlog_overview.xml"
    view.write_text(view.read_text().replace(' version="1.1"', ""))
    monkeypatch.setattr(addon, "data_folder", lambda _name: copy)
    (tmp_path / "bad.tgz").write_bytes(addon.pack())
    assert ("failure", "check_simplexml_standards_version") in complaints(inspect(tmp_path / "bad.tgz", tmp_path))
