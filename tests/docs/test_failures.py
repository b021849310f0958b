"""What the table of failures says connlog says, it says: messages, metrics, alerts and kinds of gaps exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from shipper.resource import read_data
from shipper.web.catalogue import METRICS

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "failures.md").read_text()
PAGES = [
    ROOT / "docs" / f"{name}.md" for name in ("failures", "tuning", "security", "maintenance", "install", "operations")
]
GAPS = re.compile(r"gap `(\w+)`")
OTHERS = ("certificate verify failed", "Connection refused")
"""What the system and OpenSSL say, and connlog hands on."""


def spoken() -> str:
    """All texts of the program, one a line, as the parser joins them; what is filled in later is between them."""
    modules = [ast.parse(path.read_text()) for path in (ROOT / "shipper").rglob("*.py")]
    nodes = [node.value for module in modules for node in ast.walk(module) if isinstance(node, ast.Constant)]
    return "\n".join(value for value in nodes if isinstance(value, str))


def messages() -> list[str]:
    """The code spans of the second column that hold a sentence."""
    rows = [line.split(" | ") for line in TABLE.splitlines() if line.startswith("| ") and not line.startswith("| what")]
    return [
        span for row in rows for span in re.findall(r"`([^`]+)`", row[1]) if not re.fullmatch(r"/\w+|connlog \w+", span)
    ]


def test_the_messages_are_those_of_the_program() -> None:
    said = spoken()
    assert len(messages()) > 30
    for message in messages():
        parts = [part.strip() for part in message.split("…")]
        # "HTTP … code …" and the like: each fixed part is somewhere in one text of the program.
        for part in (part for part in parts if len(part) > 3 and part not in OTHERS):
            words = part.removesuffix(": Connection refused").lstrip(":;) ").rstrip("( ")
            assert words in said, message


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_metrics_and_alerts_exist(page: Path) -> None:
    text = page.read_text()
    known = {metric.name for metric in METRICS}
    named = set(re.findall(r"`(connlog_\w+?)`", text))
    assert {name for name in named if name not in known} == set()
    rules = yaml.safe_load(read_data("config/prometheus/connlog-alerts.yaml"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    assert set(re.findall(r"`(Connlog[A-Z]\w+)`", text)) <= alerts


def test_every_alert_has_its_place_in_the_table() -> None:
    rules = yaml.safe_load(read_data("config/prometheus/connlog-alerts.yaml"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    explained = set(re.findall(r"`(Connlog[A-Z]\w+)`", TABLE))
    assert alerts - explained <= {"ConnlogOutputStuck", "ConnlogReadingStuck"}, (
        "these two are of faults of connlog's own"
    )


def test_the_kinds_of_gaps_are_all_there_and_no_other() -> None:
    kinds = set()
    for path in (ROOT / "shipper").rglob("*.py"):
        kinds |= set(re.findall(r'\b_?[Gg]ap\(\s*(?:SCHEMA,\s*)?"(\w+)"', path.read_text()))
    assert set(GAPS.findall(TABLE)) == kinds
