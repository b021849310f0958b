"""The metrics of a real daemon: every entry is accounted for, and they say what the status says."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from tests.service.conftest import Service

Values = dict[str, dict[tuple[tuple[str, str], ...], float]]


def address(service: Service) -> str:
    service.wait_for(lambda: "metrics are on" in service.said(), "the address in the log")
    found = re.findall(r"metrics are on (http://\S+)/metrics", service.said())
    return str(found[-1])


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=60) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def scrape(url: str) -> Values:
    code, text = get(url + "/metrics")
    assert code == 200
    values: Values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return values


def test_entries_are_conserved_and_equal_to_the_status(service: Service) -> None:
    service.configure(listen="127.0.0.1:0")
    service.write(50)
    first = service.log.read_bytes()
    with service.log.open("ab") as file:
        file.write(first)  # copies
        file.write(b"noise\nabout connection_log\n")
        file.write(b'{"msg":"connection_log","logger_names":["coderd"],"fields":{"ID":"bad","Type":"ssh"}}\n')
    (service.logs / "odd\n\x1b\xff.log").write_bytes(b"more noise\n" * 3)
    service.start()
    url = address(service)
    service.wait_for(lambda: len(service.indexed()) == 50, "the events")
    service.wait_for(lambda: sum(scrape(url).get("connlog_entries_total", {}).values()) == 106, "every entry")
    values = scrape(url)
    parts = ("stored", "duplicate", "malformed", "not_ours")
    for labels, entries in values["connlog_entries_total"].items():
        assert entries == sum(values[f"connlog_entries_{part}_total"][labels] for part in parts)
    own = (("source", str(service.log)),)
    assert [values[f"connlog_entries_{part}_total"][own] for part in parts] == [50, 50, 1, 2]
    assert all(label.isprintable() for labels in values["connlog_entries_total"] for _, label in labels)
    shown = subprocess.run(
        [sys.executable, "-m", "shipper", "status", "--output", "json", "-c", str(service.config)],
        capture_output=True,
        check=True,
    )
    status = json.loads(shown.stdout)["status"]
    assert status["metrics"] == url + "/metrics"
    for name, counters in status["sources"].items():
        if name == str(service.log):
            assert counters["lines"] == values["connlog_read_lines_total"][own]
            assert counters["bytes"] == values["connlog_read_bytes_total"][own]
    assert values["connlog_quarantine_entries"][()] == status["quarantine"]["count"] == 1
    assert values["connlog_output_cursor"][(("output", "index"),)] == status["outputs"][0]["cursor"]
    assert get(url + "/healthz") == (200, "ok\n")
    assert get(url + "/readyz") == (200, "ok\n")
    assert service.end() == 0


def test_without_an_input_that_can_be_read_it_is_alive_and_not_ready(service: Service) -> None:
    service.configure(listen="127.0.0.1:0")
    service.start()
    url = address(service)
    service.wait_for(lambda: "no input" in get(url + "/readyz")[1], "the reason")
    assert get(url + "/readyz")[0] == 503
    assert get(url + "/healthz")[0] == 200
    service.write(1)
    service.wait_for(lambda: get(url + "/readyz")[0] == 200, "the first file")
    assert service.end() == 0


def test_a_port_in_use_is_a_warning_and_the_daemon_runs(service: Service) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service.configure(listen=f"127.0.0.1:{taken.getsockname()[1]}")
        service.write(2)
        service.start()
        service.wait_for(lambda: len(service.indexed()) == 2, "the events")
        assert service.end() == 0
    assert "warning metrics.listen: can't listen on 127.0.0.1" in service.said()
    assert "Traceback" not in service.said()


def test_turned_off_it_listens_nowhere(service: Service) -> None:
    service.configure(listen="")
    service.start()
    service.wait_for(lambda: service.status().get("state") == "reading", "the status")
    assert service.status()["metrics"] is None
    assert service.end() == 0
    assert "metrics" not in service.said()


def test_a_port_that_is_in_use_is_tried_again_and_told_meanwhile(service: Service) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        service.configure(listen=f"127.0.0.1:{other.getsockname()[1]}")
        service.write(3)
        service.start()
        service.wait_for(lambda: len(service.indexed()) == 3, "the events, without metrics")
        service.wait_for(lambda: "metrics.listen" in str(service.status().get("troubles")), "the trouble")
    url = address(service)
    service.wait_for(lambda: service.status()["metrics"] == f"{url}/metrics", "the metrics in the status")
    assert "metrics.listen" not in str(service.status()["troubles"])
    assert scrape(url)
    assert service.end() == 0
