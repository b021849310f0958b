"""What the Debian package holds: what was checked by hash, unchanged; nothing of the folder it was built in; what Debian asks for."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from shipper import __version__
from shipper.cli.completion import command as completion
from shipper.cli.main import main
from shipper.resource import read_data
from tests.debian.conftest import ROOT

pytestmark = [pytest.mark.packaging, pytest.mark.slow, pytest.mark.timeout(900)]

COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/connlog",
    "zsh": "usr/share/zsh/vendor-completions/_connlog",
    "fish": "usr/share/fish/vendor_completions.d/connlog.fish",
}
ELSEWHERE = ("../../../bin/connlog",)
"""Its first line was rewritten to where the package has it."""


@pytest.fixture(scope="module")
def tree(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that the package installs, and its own files below DEBIAN."""
    folder = tmp_path_factory.mktemp("unpacked") / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder], check=True)
    return folder


def site_packages(tree: Path) -> Path:
    (found,) = tree.glob("usr/lib/connlog/lib/python3*/site-packages")
    return found


def field(package: Path, name: str) -> str:
    return subprocess.check_output(["dpkg-deb", "--field", package, name], text=True).strip()


def test_lintian_finds_nothing_and_every_override_has_a_use(package: Path) -> None:
    """Not even what is for information; what is overridden is there."""
    (changes,) = package.parent.glob("*.changes")
    options = ["--allow-root", "--display-info", "--pedantic", "--show-overrides"]
    done = subprocess.run(["lintian", *options, changes], capture_output=True, text=True, check=False)
    assert [line for line in done.stdout.splitlines() if not line.startswith(("N:", "O:", "M:"))] == [], done.stderr
    lines = (ROOT / "debian/connlog.lintian-overrides").read_text().splitlines()
    assert lines[0].startswith("#")
    used = set(re.findall(r"^O: connlog: (\S+)", done.stdout, re.MULTILINE))
    assert used == {line.split()[1] for line in lines if not line.startswith("#")}


def test_its_version_is_connlogs_and_it_needs_the_python_it_was_built_with(package: Path, tree: Path) -> None:
    assert field(package, "Version").rpartition("-")[0] == __version__
    minor = int(site_packages(tree).parent.name.removeprefix("python3."))
    depends = re.split(r",\s*", field(package, "Depends"))
    assert {f"python3 (>= 3.{minor}~)", f"python3 (<< 3.{minor + 1})"} <= set(depends)
    assert any(one.startswith("libc6 (>= ") for one in depends)
    assert field(package, "Architecture") not in ("all", "any")


def test_every_file_is_the_one_that_its_wheel_had(tree: Path) -> None:
    """Each RECORD says what is there, with the right hash, and nothing else is there."""
    site, known = site_packages(tree), set()
    for record in site.glob("*.dist-info/RECORD"):
        for name, digest, _ in csv.reader(record.read_text().splitlines()):
            known.add(name)
            if digest and name not in ELSEWHERE:
                kind, _, value = digest.partition("=")
                found = hashlib.new(kind, (site / name).read_bytes()).digest()
                assert base64.urlsafe_b64encode(found).rstrip(b"=").decode() == value, name
    assert len(list(site.glob("*.dist-info/RECORD"))) > 15
    assert known - set(ELSEWHERE) == {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}


def test_its_packages_are_those_of_the_lock(tree: Path) -> None:
    locked = re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    wanted = {f"{name.replace('-', '_')}-{version}" for name, version in locked} | {f"coder_connlog-{__version__}"}
    assert {path.name.removesuffix(".dist-info") for path in site_packages(tree).glob("*.dist-info")} == wanted


def test_it_holds_no_path_of_its_build_and_no_byte_code(package: Path, tree: Path) -> None:
    built = str(package.parent).encode()
    for path in (path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()):
        text = path.read_bytes()
        assert built not in text, path
        assert b"debian/environment" not in text, path
        assert path.suffix != ".pyc", path
    for link in (path for path in tree.rglob("*") if path.is_symlink()):
        assert not link.readlink().is_absolute(), link


def test_nobody_but_root_may_change_what_it_installs(package: Path) -> None:
    listed = subprocess.check_output(["dpkg-deb", "--contents", package], text=True).splitlines()
    for line in listed:
        mode, owner = line.split()[:2]
        assert owner == "root/root", line
        assert mode[0] == "l" or (mode[5] == mode[8] == "-" and "s" not in mode.lower()), line
        assert mode[7] == "r", line


def test_the_unit_is_the_shipped_one_with_the_packages_program(tree: Path) -> None:
    unit = (tree / "lib/systemd/system/connlog.service").read_text()
    shipped = read_data("systemd/connlog.service").replace("/opt/connlog/bin/connlog", "/usr/bin/connlog")

    def settings(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith("Documentation=")]

    assert settings(unit) == settings(shipped)
    assert "/opt" not in unit
    assert (tree / "usr/lib/sysusers.d/connlog.conf").read_text() == read_data("systemd/sysusers.conf")
    assert (tree / "usr/lib/tmpfiles.d/connlog.conf").read_text() == read_data("systemd/tmpfiles.conf")


def test_the_configuration_is_a_conffile_at_the_defaults(tree: Path) -> None:
    assert (tree / "DEBIAN/conffiles").read_text().split() == ["/etc/connlog/connlog.toml"]
    assert (tree / "etc/connlog/connlog.toml").read_text() == read_data("config/connlog.toml")


def test_manual_and_completions_are_where_shells_and_man_look(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manual = subprocess.check_output(["zcat", tree / "usr/share/man/man1/connlog.1.gz"], text=True)
    assert manual == (ROOT / "docs/connlog.1").read_text()
    (shells,) = [parameter.type for parameter in completion.params if parameter.name == "shell"]
    assert list(COMPLETIONS) == list(getattr(shells, "choices", ()))
    for shell, path in COMPLETIONS.items():
        assert main(["completion", shell]) == 0
        assert (tree / path).read_text() == capsys.readouterr().out
