"""The outlet: one configured output, opened as what the crew can run: a delivery, or a dispatch of several lanes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shipper.config import Config, IndexOutput, Output, SplunkHecOutput, State
from shipper.config.address import is_local
from shipper.errors import ConfigError, ConnlogError, QueryError, StateNewer
from shipper.journal import Journal, Wrapping
from shipper.journal.seal import SEGMENT_MAX_BYTES, SEGMENT_MAX_COUNT
from shipper.service.dispatch import Dispatch
from shipper.standin import load_lean

if TYPE_CHECKING:
    from shipper.outputs.delivery import Delivery, Target
    from shipper.outputs.hec.sieve import Sieve, Who
    from shipper.outputs.hec.tls import Trust
    from shipper.service.sending import Sending

Want = Callable[[Iterable[tuple[str, str]]], None]
"""Told of kinds and ids that nobody knows."""
log = logging.getLogger(__name__)


def open_output(output: Output, journal: Journal, state: State, want: Want | None = None) -> Sending | Dispatch:
    """What delivers to ``output``, not running yet; ``want`` is told of ids that have no name. One that can't be opened yet is tried again by its own thread;
    raises StateNewer, and ConfigError where a filter or a certificate is no use."""
    if isinstance(output, SplunkHecOutput):
        return _open_hec(output, journal, state, want)
    from shipper.service.sending import Sending  # here, as all that only an index needs

    return Sending(_open_index(output, journal, state.dir))


def write_for_outputs(journal: Journal, config: Config) -> None:
    """Have batches written in the form that the outputs of ``config`` want: original lines only for an index, and
    records as the first output to a collector sends them that looks at none of them."""
    wrapping: Wrapping | None = None
    for output in config.outputs:
        if isinstance(output, SplunkHecOutput) and not _looks(output, config):
            fits = output.batch_max_bytes >= 2 * SEGMENT_MAX_BYTES and output.batch_max_events >= 2 * SEGMENT_MAX_COUNT
            if wrapping is None and fits:
                from shipper.outputs.hec.wrapping import HecWrapping

                wrapping = HecWrapping(output.sourcetype, output.index)
    journal.write_for(wrapping, originals=any(isinstance(output, IndexOutput) for output in config.outputs))


def _looks(output: SplunkHecOutput, config: Config) -> bool:
    """Whether an output looks into records before it sends them."""
    return bool(output.filter.strip() or output.route or output.attribution or config.coder.url)


def _open_index(output: IndexOutput, journal: Journal, folder: Path) -> Delivery:
    # Imported here: who only sends needs no index.
    from shipper.outputs.delivery import Delivery
    from shipper.outputs.local_index import LocalIndex

    def open_target() -> Target:
        return LocalIndex(folder / "index.db", output)

    delivery = Delivery(output.name, journal, open_target)
    try:
        delivery.open()
    except StateNewer:
        raise
    except ConnlogError as error:
        # The journal keeps what comes.
        log.warning("output %s can't be opened yet: %s", output.name, error)
    return delivery


def _open_hec(output: SplunkHecOutput, journal: Journal, state: State, want: Want | None) -> Dispatch:
    # Imported here: only who sends needs it, and who does so without TLS needs none.
    load_lean("http.client")
    from shipper.outputs.hec.client import Line
    from shipper.outputs.hec.lane import Lane
    from shipper.outputs.hec.names import Namer
    from shipper.outputs.hec.output import HecOutput

    trust: Trust | None = None
    if any(url.startswith("https:") for url in (*output.endpoints, output.proxy)):
        from shipper.outputs.hec.tls import Trust

        trust = Trust(output)
    if not output.tls_verify:
        log.warning(
            "output %s: TLS CERTIFICATES ARE NOT CHECKED (tls_verify = false): anyone on the way can read the token and "
            "the events, or take them; give ca_file instead",
            output.name,
        )
    for url in output.endpoints:
        if url.startswith("http:") and not is_local(url):
            log.warning(
                "output %s: %s is not encrypted: the token and the events can be read on the way", output.name, url
            )
    namer = Namer(
        state.dir / "index.db",
        # Nobody answers where no Coder is asked.
        wait_seconds=0.0 if want is None else output.names_wait_seconds,
        attribution=output.attribution,
        want=want,
    )
    keeps = read_filter(output, namer)
    if keeps is not None:
        namer.asks_organizations = keeps.asks_organizations
    made = HecOutput(output, journal, keeps=keeps, namer=namer, retention_seconds=state.delivered_retention_seconds)
    return Dispatch(made, [Lane(n, made, lambda url: Line(url, output, trust)) for n in range(output.in_flight)])


def around(output: Output, state: State) -> object:
    """What an output was opened with beside its own settings: limits, and a file that it reads once. Where that has
    changed, a reload opens the output anew."""
    if not isinstance(output, SplunkHecOutput):
        return None
    limits = (state.delivered_retention_seconds, state.delivered_max_bytes, state.quarantine_max_bytes)
    return limits, _stamp(output.proxy_auth_file)


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    """Tells one content of a file from the next."""
    try:
        facts = path.stat() if path is not None else None
    except OSError:
        return None
    return None if facts is None else (facts.st_ino, facts.st_size, facts.st_mtime_ns)


def read_filter(output: SplunkHecOutput, who: Who | None = None) -> Sieve | None:
    """The output's filter, None for none; ``who`` tells it names. Raises ConfigError."""
    if not output.filter.strip():
        return None
    # Imported here: only who leaves something out needs it.
    from shipper.outputs.hec.sieve import Sieve
    from shipper.query import parse_query

    try:
        return Sieve(parse_query(output.filter, time.time_ns()), who)
    except QueryError as error:
        raise ConfigError([f"output {output.name}: filter: {line}" for line in str(error).splitlines()]) from error


def unusable(outputs: Sequence[Output]) -> list[str]:
    """What is wrong with outputs that only their opening would tell: filters and certificates."""
    problems: list[str] = []
    for output in outputs:
        if isinstance(output, SplunkHecOutput):
            from shipper.outputs.hec.tls import tls_context

            for look in (read_filter, tls_context):
                try:
                    look(output)
                except ConfigError as error:
                    problems += error.problems
    return problems
