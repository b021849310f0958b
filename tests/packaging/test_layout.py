"""The shape of the project: modules stay readable, locks are sound, the unit is hardened."""

from __future__ import annotations

import ast
import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from shipper.resource import data_path, read_data

ROOT = Path(__file__).parents[2]
LINES_MAX = 400
MODULES = sorted(
    path.relative_to(ROOT) for folder in ("shipper", "demo", "bench") for path in (ROOT / folder).rglob("*.py")
)
LOCKS = {"requirements.lock": False, "requirements-dev.lock": True}
IMPORT_NAMES = {
    "ahocorasick-rs": "ahocorasick_rs",
    "prometheus-client": "prometheus_client",
    "google-re2": "re2",
    "splunk-sdk": "splunklib",
}
EXPOSURE_MAX = 1.2
HARDENING = {
    "User": "connlog",
    "StateDirectory": "connlog",
    "StateDirectoryMode": "0750",
    "CapabilityBoundingSet": "",
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6",
}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_is_short_and_says_what_it_promises(module: Path) -> None:
    text = (ROOT / module).read_text()
    assert len(text.splitlines()) <= LINES_MAX
    docstring = ast.get_docstring(ast.parse(text))
    assert docstring is not None
    assert re.match(r".+?[.:]", docstring, re.DOTALL)
    assert not {"utils", "helpers", "common"} & set(module.with_suffix("").parts)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_dependency_by_hash_and_names_no_host(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    pins = dict(re.findall(r"^([a-z0-9.-]+)==(\S+) \\$", text, re.MULTILINE))
    assert len(pins) == len(re.findall(r"^[a-z]", text, re.MULTILINE))
    assert len(re.findall(r"^    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)) >= len(pins)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + (project["optional-dependencies"]["dev"] if LOCKS[name] else [])
    for requirement in map(Requirement, wanted):
        assert pins[requirement.name.lower()] in requirement.specifier, f"{requirement}: run 'make lock'"


def test_the_lock_of_the_inspection_pins_by_hash_and_names_no_host() -> None:
    """It stands for itself: Splunk's inspection needs other versions than the product."""
    text = (ROOT / "requirements-appinspect.lock").read_text()
    assert "://" not in text
    pins = re.findall(r"^([a-z0-9.-]+)==(\S+) \\$", text, re.MULTILINE)
    assert "splunk-appinspect" in dict(pins)
    assert len(pins) == len(re.findall(r"^[a-z]", text, re.MULTILINE))
    assert len(re.findall(r"^    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)) >= len(pins)


def test_what_the_package_imports_is_what_it_declares() -> None:
    """Neither a tool of development imported by users, nor a dependency that nobody needs."""
    imported = {
        name.partition(".")[0] for module in MODULES if module.parts[0] == "shipper" for name in _imports(module)
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {IMPORT_NAMES.get(name, name) for name in (Requirement(text).name for text in project["dependencies"])}
    assert imported - set(sys.stdlib_module_names) - {"shipper"} == declared


def _imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_both_locks_pin_the_same_versions() -> None:
    """So that what is tested is what is installed."""
    run, dev = (set(re.findall(r"^(\S+==\S+)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS)
    assert run <= dev


@pytest.mark.parametrize("name", ["config/connlog.toml", "systemd/connlog.service", "grammars/human.lark"])
def test_data_files_are_found(name: str) -> None:
    assert data_path(name).is_file()
    assert read_data(name)


def test_the_unit_is_hardened_and_checks_the_configuration_first(tmp_path: Path) -> None:
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(read_data("systemd/connlog.service"))
    assert {name: unit["Service"].get(name) for name in HARDENING} == HARDENING
    assert unit["Service"]["ExecStartPre"].endswith("connlog check")
    assert unit["Service"]["Type"] == "notify"
    if not shutil.which("systemd-analyze"):
        return
    # Nothing is installed where it says: let it name something that is there.
    there = tmp_path / "connlog.service"
    there.write_text(read_data("systemd/connlog.service").replace("/opt/connlog/bin/connlog", sys.executable))
    verified = subprocess.run(["systemd-analyze", "verify", there], capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stderr
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", there],
        capture_output=True,
        text=True,
        check=False,
    )
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", rated.stdout)
    assert exposure is not None, rated.stderr
    assert float(exposure[1]) <= EXPOSURE_MAX
