"""The wheel holds what git knows and nothing else, and works alone in an environment without the tools."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from shipper import __version__

pytestmark = [pytest.mark.packaging, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "samples" / "coderd.log"
DATA = ("config", "grammars", "splunk", "systemd")


def run(arguments: Sequence[str | Path], folder: Path) -> str:
    """Run a command in an environment of its own and return its stdout; it must end with 0."""
    keep = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CONNLOG", "VIRTUAL_ENV"))
    }
    done = subprocess.run(
        [str(a) for a in arguments], cwd=folder, env=keep, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT], folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the locked dependencies and the wheel, and no more."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder / "venv", with_pip=True)
    pip: list[str | Path] = [folder / "venv/bin/python", "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--require-hashes", "--requirement", ROOT / "requirements.lock"], folder)
    run([*pip, "install", "--quiet", "--no-deps", wheel], folder)
    run([*pip, "check"], folder)
    return folder / "venv" / "bin"


def test_the_wheel_holds_exactly_what_git_knows(wheel: Path) -> None:
    tracked = run(["git", "ls-files", "shipper", *DATA], ROOT).splitlines()
    expected = {name if name.startswith("shipper/") else f"shipper/_data/{name}" for name in tracked}
    info = f"coder_connlog-{__version__}.dist-info"
    expected |= {f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    expected.add(f"coder_connlog-{__version__}.data/data/share/man/man1/connlog.1")
    assert {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")} == expected


def test_help_works_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    assert "Usage: connlog" in run([installed / "connlog", "--help"], tmp_path)
    assert "Usage: connlog" in run([installed / "python", "-m", "shipper", "--help"], tmp_path)


def test_every_command_is_there_without_the_tools_of_development(installed: Path, tmp_path: Path) -> None:
    code = (
        "from shipper.cli.main import COMMANDS, main; import sys; "
        "sys.exit(any(main([name, '--help']) for name in COMMANDS))"
    )
    run([installed / "python", "-c", code], tmp_path)


def test_check_works_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    assert run([installed / "connlog", "check"], tmp_path).splitlines()[-1].startswith("OK")


def test_parse_reads_the_sample_with_the_packed_grammars(installed: Path, tmp_path: Path) -> None:
    records = run([installed / "connlog", "parse", SAMPLE], tmp_path).splitlines()
    assert len(records) == 33


def test_the_whole_way_from_a_line_to_a_search_works(installed: Path, tmp_path: Path) -> None:
    """The demonstration, by the installed program: daemon, search, status, a clean end."""
    told = run([installed / "python", "-I", ROOT / "demo" / "run.py"], tmp_path)
    assert "The daemon ended with exit code 0." in told
    assert told.rstrip().endswith("It works. Next: README.md, and 'make test'.")
