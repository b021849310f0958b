"""The alerts and the dashboard ask for metrics that are there, and the alerts fire when they should and not else."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from shipper.resource import read_data
from shipper.status import Status
from shipper.web.catalogue import METRICS
from shipper.web.exposition import Exposition

RULES = "config/prometheus/connlog-alerts.yaml"
DASHBOARD = "config/grafana/connlog-dashboard.json"
TARGET_LABELS = {"job", "instance"}
"""What Prometheus itself puts to every series."""
PROMTOOL_SECONDS = 60
EVALUATED_AT = "239m"
ONLY_DOWN = {"ConnlogDown", "ConnlogAbsent"}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(read_data(RULES))["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(read_data(DASHBOARD))["panels"]
    return found


def questions() -> Iterator[tuple[str, str]]:
    """Every expression of the alerts and the dashboard, with the templates of what is said about it."""
    for rule in rules():
        yield rule["expr"], " ".join(rule["annotations"].values())
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"], re.sub(r"{{(\w+)}}", r"$labels.\1", target["legendFormat"])


def names_of(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:connlog|process)_\w+", expression))


@pytest.fixture
def exposed(status: Callable[..., Status]) -> dict[str, set[str]]:
    """The labels of every metric that the daemon really exposes."""
    labels: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(Exposition(status).text().decode()):
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def test_every_metric_and_label_that_is_asked_for_is_exposed(exposed: dict[str, set[str]]) -> None:
    for expression, said in questions():
        names = names_of(expression)
        assert names or "up{" in expression, expression
        assert names <= exposed.keys(), expression
        listed = ",".join(re.findall(r"\b(?:by|without|on|ignoring) \(([^)]*)\)", expression)).split(",")
        matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
        told = re.findall(r"\$labels\.(\w+)", said)
        labels = {label.strip() for label in (*listed, *matched, *told)} - {""}
        known = TARGET_LABELS.union(*(exposed[name] for name in names))
        assert labels <= known, expression


def test_the_dashboard_shows_every_output_and_no_panel_covers_another() -> None:
    shown = {
        name.removesuffix("_bucket")
        for panel in panels()
        for target in panel["targets"]
        for name in names_of(target["expr"])
    }
    missing = {metric.name for metric in METRICS if metric.name.startswith("connlog_output_")} - shown
    assert missing == {"connlog_output_cursor"}
    cells: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        own = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not own & cells
        assert at["x"] + at["w"] <= 24
        cells |= own
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_every_alert_says_how_bad_it_is_where_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert "absent" in rule["expr"] or "{{ $labels.instance }}" in rule["annotations"]["summary"]
        assert rule["annotations"]["description"].endswith(".")


@pytest.fixture
def promtool() -> Callable[..., str]:
    """Runs Prometheus' own tool, and returns what it says of files that it takes."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool of Debian's package prometheus is missing")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=False, timeout=PROMTOOL_SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_prometheus_takes_the_rules_and_every_question_of_the_dashboard(
    promtool: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(read_data(RULES))
    assert f"{len(rules())} rules found" in promtool("check", "rules", path)
    asked = [target["expr"].replace("$__rate_interval", "5m") for panel in panels() for target in panel["targets"]]
    recorded = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(asked)]
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", path)


def test_alerts_fire_when_they_should_and_not_else(promtool: Callable[..., str], tmp_path: Path) -> None:
    """A daemon that works raises none; between them the two others raise every one."""
    (tmp_path / "rules.yaml").write_text(read_data(RULES))
    cases = yaml.safe_load((Path(__file__).parent / "alerts.test.yaml").read_text())
    cases["rule_files"] = ["rules.yaml"]
    everything = {rule["alert"] for rule in rules()}
    firing = {"QUIET": set[str](), "LOUD": everything - ONLY_DOWN, "DOWN": ONLY_DOWN}
    for case in cases["tests"]:
        expected = firing[case["alert_rule_test"]]
        # Labels and texts are left to the rules: a count of what fires is asked for instead.
        case["promql_expr_test"] = [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": EVALUATED_AT,
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)],
            }
        ]
        del case["alert_rule_test"]
    path = tmp_path / "cases.yaml"
    path.write_text(yaml.safe_dump(cases))
    assert "SUCCESS" in promtool("test", "rules", path)


def test_the_page_for_operators_lists_every_alert_by_its_severity() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| (critical|warning|info) \| ([^|]+) \|", page, re.MULTILINE)
    listed = [(name, severity) for severity, names in rows for name in re.findall(r"`(\w+)`", names)]
    assert sorted(listed) == sorted((rule["alert"], rule["labels"]["severity"]) for rule in rules())
