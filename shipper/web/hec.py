"""The metrics of outputs to Splunk, a part of the catalogue."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from shipper.outputs.hec.state import HecState
from shipper.status import Status
from shipper.web.metric import Metric, Reading, Sample


def _by_hec(read: Callable[[HecState], float]) -> Callable[[Status, Reading], Iterator[Sample]]:
    def samples(status: Status, _: Reading) -> Iterator[Sample]:
        for output in status.outputs:
            if output.hec is not None:
                yield (output.name,), read(output.hec)

    return samples


def _endpoints(status: Status, _: Reading) -> Iterator[Sample]:
    for output in status.outputs:
        for endpoint in output.hec.endpoints if output.hec is not None else ():
            yield (output.name, endpoint.url), endpoint.state == "up"


HEC_METRICS: tuple[Metric, ...] = (
    Metric(
        "connlog_output_retried_events_total",
        "counter",
        ("output",),
        "Events sent again.",
        _by_hec(lambda h: h.retried),
    ),
    Metric(
        "connlog_output_quarantined_events_total",
        "counter",
        ("output",),
        "Events that the output refused for good.",
        _by_hec(lambda h: h.quarantined),
    ),
    Metric(
        "connlog_output_possible_duplicates_total",
        "counter",
        ("output",),
        "Events sent again though they may have been taken.",
        _by_hec(lambda h: h.possible_duplicates),
    ),
    Metric(
        "connlog_output_unconfirmed_events_total",
        "counter",
        ("output",),
        "Events that were accepted by a server that offers no acknowledgement.",
        _by_hec(lambda h: h.unconfirmed),
    ),
    Metric(
        "connlog_output_left_out_events_total",
        "counter",
        ("output",),
        "Events that the output's filter left out since the daemon started.",
        _by_hec(lambda h: h.left_out or 0),
    ),
    Metric(
        "connlog_output_undecided_events_total",
        "counter",
        ("output",),
        "Events that a filter on names let through since the daemon started because a name was not known yet.",
        _by_hec(lambda h: h.undecided),
    ),
    Metric(
        "connlog_output_ack_pending_requests",
        "gauge",
        ("output",),
        "Accepted requests whose acknowledgement is awaited.",
        _by_hec(lambda h: h.ack_pending),
    ),
    Metric(
        "connlog_output_put_back_events",
        "gauge",
        ("output",),
        "Events put back into the output's queue, by quarantine replay or splunk verify.",
        _by_hec(lambda h: h.put_back),
    ),
    Metric(
        "connlog_output_held",
        "gauge",
        ("output",),
        "1 while everything is held until something is mended; connlog status says what.",
        _by_hec(lambda h: h.held is not None),
    ),
    Metric("connlog_output_endpoint_up", "gauge", ("output", "endpoint"), "1 while the endpoint is well.", _endpoints),
)
