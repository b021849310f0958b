"""The exposition: a status as Prometheus text. Only a daemon that listens loads this, and prometheus-client with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from shipper.status import Status
from shipper.web.catalogue import METRICS
from shipper.web.metric import SUM, Reading
from shipper.web.metric import Metric as Entry

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Exposition(Collector):
    """Writes the text of whatever status ``latest`` gives; with None only the process's own figures."""

    def __init__(self, latest: Callable[[], Status | None]) -> None:
        self._latest = latest
        self._reading = Reading()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def describe(self) -> Iterator[Metric]:
        """Nothing: the registry need not collect to know our names, which are ours alone."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Every metric of the catalogue, samples with equal labels added up."""
        status = self._latest()
        if status is None:
            return
        for metric in METRICS:
            sums: dict[tuple[str, ...], float] = {}
            for labels, value in metric.read(status, self._reading):
                sums[labels] = sums.get(labels, 0.0) + value
            if metric.kind == "histogram":
                yield _histogram(metric, sums)
                continue
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.prose, labels=metric.labels)
            for labels, total in sums.items():
                family.add_metric(labels, total)
            yield family


def _histogram(metric: Entry, sums: dict[tuple[str, ...], float]) -> Metric:
    """Prometheus' own form of a histogram."""
    family = HistogramMetricFamily(metric.name, metric.prose, labels=metric.labels[:-1])
    for labels in dict.fromkeys(found[:-1] for found in sums):
        buckets = [(at[-1], count) for at, count in sums.items() if at[:-1] == labels and at[-1] != SUM]
        family.add_metric(labels, buckets=buckets, sum_value=sums.get((*labels, SUM), 0.0))
    return family
