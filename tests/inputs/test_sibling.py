"""Names of rotated files are told from names of other logs."""

from __future__ import annotations

import pytest

from shipper.inputs.sibling import base_name, is_numbered, is_sibling

ROTATED = [
    "coderd.log.1",
    "coderd.log.12.gz",
    "coderd.log-20260901",
    "coderd-20260901.log",
    "coderd-2026090113.log.zst",
    "coderd-2026-01-02T15-04-05.000.log",
    "coderd.1.log",
    "coderd.log.20260901-101112",
]


@pytest.mark.parametrize("name", ROTATED)
def test_a_rotated_name_is_known(name: str) -> None:
    assert is_sibling("coderd.log", name)
    assert is_numbered("coderd.log", name)
    assert base_name(name) == "coderd.log"


@pytest.mark.parametrize("name", ["coderd.log", "coderd-agent.log", "other.log", "coderd.log.bak", "coder-1.log", "x"])
def test_another_log_is_not_taken_for_a_rotated_one(name: str) -> None:
    assert not is_numbered("coderd.log", name)


@pytest.mark.parametrize("name", ["0.log", "1.log", "coderd.log", "20260901.log", "-1", "a"])
def test_a_name_without_an_addition_is_its_own_base(name: str) -> None:
    assert base_name(name) == name
