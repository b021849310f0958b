"""The metrics are valid whatever is in the status, say what it says, and stay few."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from shipper.inputs.input import FeedState, FileState
from shipper.journal import Counters, Depth
from shipper.status import Drift, Status
from shipper.timestamp import from_ns, to_ns
from shipper.web import metric as of_metrics
from shipper.web.catalogue import METRICS
from shipper.web.document import main, page
from shipper.web.exposition import Exposition
from shipper.web.label import LABEL_MAX_CHARACTERS, OTHERS
from tests.web.conftest import BUCKETS

Values = dict[str, dict[tuple[str, ...], float]]


def read(text: bytes) -> Values:
    values: Values = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            key = tuple(sample.labels[name] for name in sorted(sample.labels))
            assert key not in values.setdefault(sample.name, {})
            values[sample.name][key] = sample.value
    return values


def expose(status: Status) -> Values:
    return read(Exposition(lambda: status).text())


def test_every_metric_of_the_catalogue_is_there_with_its_labels(status: Callable[..., Status]) -> None:
    values = expose(status())
    for metric in METRICS:
        if metric.kind == "histogram":
            continue
        assert values[metric.name], metric.name
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert {len(labels) for labels in values[metric.name]} == {len(metric.labels)}
    assert values["connlog_entries_malformed_total"][("/f",)] == 2
    assert values["connlog_lag_bytes"][("/f",)] == 20
    assert values["connlog_output_sent_events_total"] == {("index",): 55, ("splunk",): 100}
    assert values["connlog_output_errors_total"][("index",)] == 3
    assert values["connlog_output_failing"][("index",)] == 0
    assert values["connlog_gaps_total"][()] == 5
    assert values["connlog_drift_total"][("key", "Foo")] == 2
    assert values["connlog_quarantine_dropped_total"][()] == 6


def test_what_a_delivery_took_is_a_histogram_of_every_output(status: Callable[..., Status]) -> None:
    (family,) = (
        family
        for family in text_string_to_metric_families(Exposition(status).text().decode())
        if family.name == "connlog_output_delivery_seconds"
    )
    assert family.type == "histogram"
    by_name: dict[str, dict[tuple[str, str], float]] = {}
    for sample in family.samples:
        key = (sample.labels["output"], sample.labels.get("le", ""))
        by_name.setdefault(sample.name.removeprefix(family.name), {})[key] = sample.value
    assert by_name["_sum"] == {("index", ""): 3.5, ("splunk", ""): 5.5}
    assert by_name["_count"] == {("index", ""): 2 * len(BUCKETS), ("splunk", ""): len(BUCKETS)}
    counts = [count for (output, _), count in by_name["_bucket"].items() if output == "splunk"]
    assert counts == list(range(1, len(BUCKETS) + 1))
    assert by_name["_bucket"]["splunk", "0.01"] == 1
    assert by_name["_bucket"]["splunk", "+Inf"] == len(BUCKETS)


def test_the_age_of_the_journal_is_that_of_its_oldest_batch(status: Callable[..., Status]) -> None:
    one = status()
    old = status(journal=Depth(1, 1, 1, to_ns(one.updated) - 90_000_000_000))
    assert expose(one)["connlog_journal_oldest_age_seconds"][()] == 0
    assert expose(old)["connlog_journal_oldest_age_seconds"][()] == 90


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.text(st.characters(exclude_categories=[]), max_size=300), max_size=20))
def test_any_name_makes_a_valid_label_and_no_entry_is_lost(status: Callable[..., Status], names: list[str]) -> None:
    """Names from paths hold any byte, as lone surrogates too; those that look the same are added up."""
    one = status(
        sources={name: Counters(entries=1, stored=1) for name in names},
        files=[FileState(name, name, 0, 1, 1, "current") for name in names],
        lag_bytes=len(names),
        drift=[Drift(f"key:{name}", "2026-01-02T03:04:05.000000000Z", 1) for name in names],
    )
    values = expose(one)
    entries = values.get("connlog_entries_total", {})
    assert sum(entries.values()) == len(set(names))
    assert sum(values.get("connlog_lag_bytes", {}).values()) == len(names)
    assert sum(values.get("connlog_drift_total", {}).values()) == len(names)
    assert all(label.isprintable() and len(label) <= LABEL_MAX_CHARACTERS for (label,) in entries)


def test_sources_beyond_the_bound_are_counted_together_and_no_counter_goes_back(
    status: Callable[..., Status], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_metrics, "SOURCES_MAX_COUNT", 3)
    sources: dict[str, Counters] = {}
    exposition = Exposition(lambda: status(sources=dict(sorted(sources.items(), reverse=True)), files=[], lag_bytes=0))
    before: dict[tuple[str, ...], float] = {}
    for number in range(8):
        sources[f"/{number}"] = Counters(entries=number + 1, stored=number + 1)
        now = read(exposition.text())["connlog_entries_total"]
        assert all(now[labels] >= value for labels, value in before.items())
        assert sum(now.values()) == sum(counters.entries for counters in sources.values())
        before = now
    assert len(before) == 4
    assert (OTHERS,) in before


def test_lag_of_files_that_the_status_leaves_out_is_counted(status: Callable[..., Status]) -> None:
    assert expose(status(lag_bytes=500))["connlog_lag_bytes"] == {("/f",): 20, (OTHERS,): 480}


def test_a_feed_has_the_same_metrics_as_a_file(status: Callable[..., Status]) -> None:
    since = from_ns(to_ns(status().updated) - 30_000_000_000)
    values = expose(
        status(
            lag_bytes=25,
            files=[FileState("/f.1", "/f", 0, 20, 20, "rotated", since), FileState("/f", "/f", 0, 0, 0, "current")],
            feeds=[FeedState("stdin", "reading", None, 0, 5, since), FeedState("journald:a.service", "waiting")],
            sources={name: Counters(9, 90, 6, 1, 2, 1, 2, 1) for name in ("/f", "stdin", "journald:a.service")},
        )
    )
    assert values["connlog_lag_bytes"] == {("/f",): 20, ("stdin",): 5, ("journald:a.service",): 0}
    assert values["connlog_lag_seconds"] == {("/f",): 30, ("stdin",): 30, ("journald:a.service",): 0}
    for metric in METRICS:
        if metric.labels == ("source",):
            assert set(values[metric.name]) == {("/f",), ("stdin",), ("journald:a.service",)}, metric.name


def test_the_page_names_every_metric_and_no_other() -> None:
    assert re.findall(r"^\| `(connlog_\w+)` \|", page(), re.MULTILINE) == [metric.name for metric in METRICS]


def test_a_stale_page_is_told_of_and_written_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    assert main(["--check"], tmp_path) == 1
    assert "make docs" in capsys.readouterr().err
    assert main([], tmp_path) == 0
    assert main(["--check"], tmp_path) == 0
