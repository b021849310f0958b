"""The Coder double by hand: ``python -m tests.coder`` plays a Coder of a few people, or that of some logs.

Tokens are written into files, one for each role, so that they can be named in a configuration. The requests that come
are printed, safe for a terminal.
"""

from __future__ import annotations

import argparse
import signal
import ssl
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from shipper.extraction import Extractor
from shipper.record import Record, Source
from tests.coder import fault
from tests.coder.form import VERSIONS
from tests.coder.loading import load_records
from tests.coder.scene import Scene
from tests.coder.server import RATE_LIMIT, CoderServer

FAULTS = {
    "401": fault.unauthorized(),
    "403": fault.forbidden(),
    "404": fault.missing(),
    "429": fault.limited(),
    "500": fault.broken(),
    "slow": fault.slow(60.0),
    "drip": fault.drip(1.0),
    "cut": fault.cut(),
    "html": fault.proxy_page(),
    "json": fault.garbage(b'{"users":{"a":1}}'),
}
LOOK_SECONDS = 0.2
_VERSIONS = {one.name.split("+")[0].replace(".0", ""): one for one in VERSIONS}


def main(arguments: list[str]) -> int:
    """Serves until it is interrupted."""
    options = _parser().parse_args(arguments)
    scene = Scene()
    _grow(scene, options)
    version = _VERSIONS[options.version]
    folder: Path = options.folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    tls = _tls(folder) if options.tls else None
    with CoderServer(
        scene.world, version=version, limit=options.limit, licensed=not options.unlicensed, tls=tls, port=options.port
    ) as coder:
        for kind in options.fail:
            coder.fail(FAULTS[kind], options.times)
        _say(f"Coder {version.name} at {coder.url}")
        for user in (scene.alice, scene.auditor, scene.warden, scene.bob):
            roles = (*user.roles, *scene.world.users[user.id].organization_roles.values())
            path = folder / f"{user.username}.token"
            path.touch(mode=0o600)
            path.write_text(scene.world.token_of(user) + "\n")
            _say(f"the token of {user.username}, {' and '.join(roles)}: {path}")
        if tls is not None:
            _say(f"its certificate authority: {folder / 'ca.pem'}")
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            _show(coder)
        except KeyboardInterrupt:
            return 130
    return 0


def _grow(scene: Scene, options: argparse.Namespace) -> None:
    """More people, the events of the last hours, and those of logs."""
    world = scene.world
    for number in range(options.users):
        world.user(f"user{number:06d}", last_seen_at=datetime.now(UTC) - timedelta(days=number % 90))
    for number in range(options.workspaces):
        world.workspace(f"workspace{number:06d}", scene.bob, scene.org)
    now = datetime.now(UTC)
    for number in range(options.events):
        at = now - timedelta(hours=2) + number * timedelta(hours=2) / max(1, options.events)
        world.log(scene.web(number + 1, scene.bob, time=at))
    for path in options.logs:
        count = load_records(world, _records(path))
        _say(f"{path}: {count} events")
    world.lose(*options.lose)


def _records(path: Path) -> Iterable[Record]:
    extractor = Extractor(Source(None, "file", path.name))
    yield from extractor.feed(path.read_bytes()).records
    yield from extractor.flush(final=True).records


def _tls(folder: Path) -> ssl.SSLContext:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return context


def _show(coder: CoderServer) -> None:
    shown = 0
    while True:
        for asked in coder.asked_since(shown):
            shown += 1
            query = " ".join(
                f"{key}={value}" for key, value in asked.parameters.items() if key != "coder_session_token"
            )
            line = f"{asked.status} {asked.method} {asked.path} {query}"
            _say("".join(one if one.isprintable() else "?" for one in line))
        time.sleep(LOOK_SECONDS)


def _say(text: str) -> None:
    sys.stdout.write(text.rstrip() + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.coder", description=__doc__)
    parser.add_argument("logs", nargs="*", type=Path, metavar="LOG", help="logs of coderd whose events it has too")
    parser.add_argument("--port", type=int, default=0, help="0 (default): a free one")
    parser.add_argument("--folder", type=Path, default=Path("coder-double"), help="where the tokens go (coder-double)")
    parser.add_argument("--version", default="v2.33", choices=_VERSIONS, help="which Coder it plays (v2.33)")
    parser.add_argument("--limit", type=int, default=RATE_LIMIT, help="requests a minute, -1: no limit (512)")
    parser.add_argument("--unlicensed", action="store_true", help="without the licence for the connection log")
    parser.add_argument("--tls", action="store_true", help="with a certificate of its own authority")
    parser.add_argument("--users", type=int, default=0, help="so many users more")
    parser.add_argument("--workspaces", type=int, default=0, help="so many workspaces more")
    parser.add_argument("--events", type=int, default=0, help="so many web events of the last two hours")
    parser.add_argument("--lose", action="append", default=[], metavar="ID", help="a row that its database lost")
    parser.add_argument("--fail", action="append", default=[], choices=sorted(FAULTS), help="how to fail")
    parser.add_argument("--times", type=int, default=1_000_000, help="how many requests each --fail is for")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
