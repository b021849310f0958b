"""A status to answer from, and a server that answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from shipper.inputs.input import FileState
from shipper.journal import Counters, Depth, QuarantineSize
from shipper.outputs.hec.endpoint import EndpointState
from shipper.outputs.hec.state import LATENCY_BOUNDS_SECONDS, HecState
from shipper.status import Drift, NamesStatus, OutputStatus, Status
from shipper.web.server import Endpoint

HEC = HecState(
    [EndpointState("https://splunk:8088", "up", None, 9)],
    "acknowledged", 2, None, 100, 10, 1, 4, 0, 3,
)  # fmt: skip
BUCKETS = (*LATENCY_BOUNDS_SECONDS, None)
TIME = "2026-01-02T03:04:05.000000000Z"


def make_status(**changes: object) -> Status:
    facts: dict[str, object] = {
        "version": "0.1",
        "pid": 1,
        "started": TIME,
        "updated": TIME,
        "state": "reading",
        "paused": None,
        "files": [FileState("/f", "/f", 10, 30, 20, "current")],
        "files_count": 1,
        "lag_bytes": 20,
        "troubles": {},
        "sources": {"/f": Counters(entries=10, stored=4, duplicates=1, malformed=2, not_ours=3)},
        "journal": Depth(2, 30, 400, None),
        "journal_max_bytes": 1 << 30,
        "outputs": [
            OutputStatus("index", 7, 30, TIME, None, 3, None, 55, [2] * len(BUCKETS), 3.5),
            OutputStatus("splunk", 7, 30, TIME, None, 0, HEC, None, [1] * len(BUCKETS), 5.5),
        ],
        "gaps_count": 5,
        "gaps": [],
        "quarantine": QuarantineSize(2, 40, 1, 6),
        "quarantine_max_bytes": 1 << 20,
        "drift": [Drift("key:Foo", TIME, 2)],
        "names": NamesStatus("https://coder.example.com", TIME, None, 7, 1, 3, 2, 1),
    }
    return Status(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.fixture
def status() -> Callable[..., Status]:
    """Makes a status of a healthy daemon, but for what is named."""
    return make_status


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    one = Endpoint("127.0.0.1:0")
    one.start()
    yield one
    one.close()
