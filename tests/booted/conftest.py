"""One container for all tests of this folder, with connlog installed in it by the commands of README."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.booted.machine import Machine, missing
from tests.booted.service import Booted

ROOT = Path(__file__).parents[2]
SOURCE = "/usr/local/src/connlog"
INSTALL_SECONDS = 360.0


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted container; a test that needs it is skipped where there can be none."""
    lacking = missing()
    if lacking is not None:
        pytest.skip(lacking)
    one = Machine(tmp_path_factory.mktemp("machine"))
    try:
        one.boot()
        yield one
    finally:
        one.close()


@pytest.fixture(scope="session")
def installed(machine: Machine) -> Machine:
    """The container with connlog installed as README says, by a root with a narrow umask; neither configured nor started."""
    files = subprocess.check_output(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT)
    there = b"\0".join(name for name in files.split(b"\0") if name and (ROOT / os.fsdecode(name)).exists())
    packed = subprocess.run(
        ["tar", "--create", "--mode=u=rwX,go=rX", "--null", "--files-from=-"],
        input=there,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    machine.run("mkdir", "-p", SOURCE)
    machine.run("tar", "--extract", "--no-same-owner", "--directory", SOURCE, given=packed.stdout)
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    script = f"cd {SOURCE}\n" + installation()
    machine.run("bash", "-euxc", script, env=pip, seconds=INSTALL_SECONDS, umask=0o077)
    return machine


def installation() -> str:
    """The commands of README that install the service, up to the one that starts it."""
    readme = (ROOT / "README.md").read_text()
    section = readme.partition("\n## Install\n")[2].partition("\n## ")[0]
    commands = "".join(re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)).splitlines()
    return "\n".join(line for line in commands if not line.startswith("systemctl enable")) + "\n"


@pytest.fixture
def booted(installed: Machine) -> Iterator[Booted]:
    """connlog in the container as freshly installed, stopped, without state, configuration of its own or drop-ins."""
    one = Booted(installed)
    one.reset()
    yield one
    try:
        one.assert_conserved()
    finally:
        one.reset()
