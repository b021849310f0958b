"""The HEC server by hand: ``python -m tests.hec --port 8088 --ack`` prints what it takes, safe for a terminal."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.hec.ack import AckRules
from tests.hec.certificate import Authority
from tests.hec.collector import Seen
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
            count_only=options.count,
        )
        with server:
            _say(f"HEC at {server.url}, token {token.value}, ack {'on' if token.use_ack else 'off'}")
            if authority:
                _say(f"its certificate authority is {authority.ca_file}")
            try:
                _show(server, options.events, quiet=options.quiet)
            except KeyboardInterrupt:
                return 130
    return 0


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
    parser.add_argument("--count", action="store_true", help="only count events, for speed")
    parser.add_argument("--quiet", action="store_true", help="print requests, not events")
    parser.add_argument("--events", type=int, default=0, help="end after so many events (0: never)")
    return parser


def _show(server: HecServer, most: int, *, quiet: bool) -> None:
    """Prints requests and events as they come."""
    taken, shown = 0, 0
    while not most or taken < most:
        server.wait_requests(shown + 1, 3600)
        for seen in server.drain_seen():
            shown += 1
            taken += seen.events
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
