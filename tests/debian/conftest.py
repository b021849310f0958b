"""The Debian package, built once for all tests of this folder, and a booted machine to install it on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.booted.machine import Machine, missing

ROOT = Path(__file__).parents[2]
NEEDED = ("dpkg-buildpackage", "dh", "lintian")
BUILD_SECONDS = 600.0


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, as ``make deb`` builds it."""
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking:
        pytest.skip(f"there is no {', '.join(lacking)}: install dpkg-dev, debhelper and lintian")
    folder = tmp_path_factory.mktemp("package") / "out"
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    done = subprocess.run(
        [ROOT / "debian" / "build", folder],
        # Packed quickly rather than well.
        env={**keep, "DPKG_DEB_COMPRESSOR_LEVEL": "0"},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    (built,) = folder.glob("*.deb")
    return built


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A booted container without connlog; a test that needs it is skipped where there can be none."""
    lacking = missing()
    if lacking is not None:
        pytest.skip(lacking)
    one = Machine(tmp_path_factory.mktemp("machine"))
    try:
        one.boot()
        # What images of containers have so that nothing is started in them; a host has none.
        one.run("rm", "-f", "/usr/sbin/policy-rc.d")
        yield one
    finally:
        one.close()
