"""The HEC server by hand: ``python -m tests.hec --port 8088 --ack`` prints what it takes, safe for a terminal."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.hec.ack import AckRules
from tests.hec.certificate import Authority
from tests.hec.seen import Seen
from tests.hec.server import HecServer
from tests.hec.token import TOKEN, Token


def main(arguments: list[str]) -> int:
    """Serves until it is interrupted, or until ``--events`` were taken."""
    options = _parser().parse_args(arguments)
    token = Token(
        value=options.token,
        index=options.index,
        indexes=frozenset(options.allow_index),
        use_ack=options.ack,
        disabled=options.disabled,
    )
    with tempfile.TemporaryDirectory(prefix="connlog-hec-") as folder:
        authority = Authority(Path(folder)) if options.tls else None
        server = HecServer(
            token,
            host=options.host,
            port=options.port,
            tls=authority.server() if authority else None,
            ack=AckRules(delay_seconds=options.ack_delay, never=options.ack_never),
            cloud=options.cloud,
            recording=options.record,
            bodies=options.bodies,
            count_only=options.count or options.later,
            later=options.later,
        )
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with server:
            _say(f"HEC at {server.url}, token {token.value}, ack {'on' if token.use_ack else 'off'}")
            if authority:
                _say(f"its certificate authority is {authority.ca_file}")
            summary = Summary()
            try:
                _show(server, options.events, summary, quiet=options.quiet, silent=options.summary)
            except KeyboardInterrupt:
                if not options.summary:
                    return 130
                summary.add(server.drain_seen())
            server.finish()
            if options.summary:
                events, plain = server.count_kept()
                summary.add_counts(events, plain)
                _say(json.dumps(summary.figures()))
    return 0


class Summary:
    """What came in all; ``seconds`` are those between the first answer and the last."""

    def __init__(self) -> None:
        self._totals = Counter[str]()
        self._first = self._last = 0.0

    def add(self, seen: list[Seen]) -> None:
        """More requests."""
        for each in seen:
            if each.bytes_sent:
                self._first, self._last = self._first or each.at, each.at
            self._totals.update(requests=1, events=each.events, sent=each.bytes_sent, plain=each.bytes_plain)

    def add_counts(self, events: int, plain: int) -> None:
        """Events and bytes of requests that were added before."""
        self._totals.update(events=events, plain=plain)

    def figures(self) -> dict[str, float]:
        """The figures by name."""
        totals = {name: self._totals[name] for name in ("requests", "events", "sent", "plain")}
        return {**totals, "seconds": self._last - self._first}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.hec", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks one")
    parser.add_argument("--token", default=TOKEN)
    parser.add_argument("--disabled", action="store_true", help="the token is disabled")
    parser.add_argument("--index", default="main", help="the token's default index")
    parser.add_argument("--allow-index", action="append", default=[], help="allow only these indexes")
    parser.add_argument("--ack", action="store_true", help="the token uses indexer acknowledgement")
    parser.add_argument("--ack-delay", type=float, default=0.0, help="seconds until an id is true")
    parser.add_argument("--ack-never", action="store_true", help="no id is ever true")
    parser.add_argument("--cloud", action="store_true", help="answer as Splunk Cloud does where that differs")
    parser.add_argument("--tls", action="store_true", help="with a certificate of its own")
    parser.add_argument("--record", type=Path, help="append what is indexed to this file (NDJSON)")
    parser.add_argument("--bodies", type=Path, help="write each body, unpacked, to a file in this folder")
    parser.add_argument("--count", action="store_true", help="only count events, for speed")
    parser.add_argument("--later", action="store_true", help="with --summary: unpack and count when all has come")
    parser.add_argument("--quiet", action="store_true", help="print requests, not events")
    parser.add_argument("--summary", action="store_true", help="print nothing but the address, and figures at the end")
    parser.add_argument("--events", type=int, default=0, help="end after so many events (0: never)")
    return parser


def _show(server: HecServer, most: int, summary: Summary, *, quiet: bool, silent: bool) -> None:
    """Prints requests and events as they come."""
    taken, shown = 0, 0
    while not most or taken < most:
        server.wait_requests(shown + 1, 3600)
        requests = server.drain_seen()
        shown += len(requests)
        taken += sum(seen.events for seen in requests)
        summary.add(requests)
        if silent:
            server.store.drain()
            continue
        for seen in requests:
            _say(_line(seen))
        for event in server.store.drain():
            if not quiet:
                _say(f"  {event.index} {event.sourcetype} {event.time:.6f} {event.raw.decode()}")


def _line(seen: Seen) -> str:
    stamp = time.strftime("%H:%M:%S")
    size = f"{seen.bytes_plain} bytes in {seen.bytes_sent}"
    return f"{stamp} {seen.service or 'unknown path'} {seen.status} code {seen.code}: {seen.events} events, {size}"


def _say(text: str) -> None:
    """One line, with what could move a terminal written as an escape."""
    safe = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    sys.stdout.write(safe + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
