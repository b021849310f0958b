"""Connections that the log, Coder's table, or both tell of, and a Coder that is asked for them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from shipper.coder.client import CoderClient
from shipper.config import FileInput, load_config
from shipper.config.settings import Coder
from shipper.index import IndexReader, IndexWriter
from shipper.journal import Piece
from shipper.query import parse_query
from shipper.reconciliation.event import ApiEvents
from shipper.reconciliation.finding import Report
from shipper.reconciliation.reconcile import Missing, Reconciler
from shipper.record import Gap, Record, encoded
from shipper.service.backfill import Backfill
from shipper.timestamp import to_ns
from tests.coder.loading import event_of
from tests.coder.scene import Scene
from tests.coder.server import CoderServer

BEGIN = datetime(2026, 9, 1, 10, 5, tzinfo=UTC)
SINCE, UNTIL = "2026-09-01T10:00:00.000000000Z", "2026-09-04T00:00:00.000000000Z"


@pytest.fixture
def scene() -> Scene:
    return Scene()


def uuid(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


class Log:
    """Records of connections of the scene, written to a log, to Coder's table, or to one of them."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def record(self, number: int, seconds: float, **fields: Any) -> Record:
        moment = BEGIN + timedelta(seconds=seconds)
        made = Record(
            1,
            uuid(number),
            f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}000Z",
            "connected",
            type="ssh",
            method="ssh",
            organization_id=self.scene.org.id,
            workspace_owner_id=self.scene.alice.id,
            workspace_id=self.scene.dev.id,
            workspace_name="dev",
            agent_name="main",
            ip="fd7a:115c:a1e0::1",
        )
        return replace(made, **fields)

    def session(self, number: int, begin: float, end: float | None = None, **fields: Any) -> list[Record]:
        connection = {"connection_id": uuid(10_000 + number)} | fields
        records = [self.record(2 * number, begin, **connection)]
        if end is not None:
            gone = {"status": "disconnected", "code": 0, "disconnect_reason": "bye"} | connection
            records.append(self.record(2 * number + 1, end, **gone))
        return records

    def web(self, number: int, at: float, **fields: Any) -> list[Record]:
        app = {"type": "workspace_app", "method": "workspace_app", "slug_or_port": "code-server", "code": 200}
        return [self.record(2 * number, at, **(app | {"user_id": self.scene.bob.id} | fields))]

    def to_coder(self, records: Sequence[Record], together: bool = True) -> None:
        events = [event_of(record) for record in records]
        for batch in [events] if together else [[event] for event in events]:
            self.scene.world.log(*batch)


def write(path: Path, records: Sequence[Record], seq: int = 1, gaps: Sequence[Gap] = ()) -> None:
    writer = IndexWriter(path)
    writer.add(seq, records, [b"line"] * len(records), gaps=gaps, stored_ns=1)
    writer.close()


def compare(coder: CoderServer, tmp_path: Path, since: str = SINCE, until: str = UNTIL) -> tuple[Report, list[Missing]]:
    token = tmp_path / "token"
    token.write_text(coder.world.token_of(next(iter(coder.world.users.values()))))
    with CoderClient(Coder(url=coder.url, token_file=token, timeout_seconds=10.0), attempts=1) as client:
        run = Reconciler(client, tmp_path / "index.db", ApiEvents("host", coder.url))
        missing = list(run.run(to_ns(since), to_ns(until)))
    return run.report(to_ns(since), to_ns(until)), missing


def sums(report: Report) -> tuple[int, int, int, int]:
    both, only_log, only_api, differing = (
        sum(getattr(hour, name) for hour in report.hours) for name in ("both", "only_log", "only_api", "differing")
    )
    return both, only_log, only_api, differing


@pytest.fixture
def log(scene: Scene) -> Log:
    return Log(scene)


@pytest.fixture
def coder(scene: Scene) -> Iterator[CoderServer]:
    with CoderServer(scene.world, limit=-1) as server:
        yield server


def configure(tmp_path: Path, coder: CoderServer, user: object) -> str:
    (tmp_path / "token").write_text(coder.world.token_of(user))  # type: ignore[arg-type]  # a user of the world
    path = tmp_path / "connlog.toml"
    path.write_text(
        f'[state]\ndir = "{tmp_path}"\n[coder]\nurl = "{coder.url}"\ntoken_file = "token"\n[metrics]\nlisten = ""\n'
    )
    return str(path)


def rows(tmp_path: Path, query: str = "", events: bool = False) -> list[Any]:
    reader = IndexReader(tmp_path / "index.db")
    answer = reader.search(
        parse_query(query, 0), events=events, limit=0, sort="time", since_ns=None, until_ns=None, now_ns=0
    )
    found = list(answer.rows)
    reader.close()
    return found


def ship(config: str, records: Sequence[Record]) -> None:
    """Records on their way through the journal, as the daemon would take them."""
    piece = Piece(
        "test", [encoded(one) for one in records], [b"line"] * len(records), entries=len(records), lines=len(records)
    )
    Backfill(load_config(Path(config)), [], FileInput(paths=()), lambda _: None).take([piece])


ARGUMENTS = ["reconcile", "--since", "2026-09-01", "--until", "2026-09-04"]


# ---- the input coder_api


class Clock:
    """The time that the input is told."""

    def __init__(self) -> None:
        self.ns = time.time_ns()

    def __call__(self) -> int:
        return self.ns

    def pass_(self, seconds: float) -> None:
        self.ns += int(seconds * 1e9)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def config(tmp_path: Path, coder: CoderServer, scene: Scene) -> Path:
    (tmp_path / "token").write_text(scene.world.token_of(scene.auditor))
    path = tmp_path / "connlog.toml"
    path.write_text(
        f'[state]\ndir = "{tmp_path}"\n[coder]\nurl = "{coder.url}"\ntoken_file = "token"\ntimeout = "5s"\n'
        '[[input]]\ntype = "coder_api"\npoll = "10s"\nsettle = "1s"\n[metrics]\nlisten = ""\n'
    )
    take(path, [])
    return path


def take(config: Path, records: list[Record]) -> None:
    piece = Piece(
        "t", [encoded(one) for one in records], [b"x"] * len(records), entries=len(records), lines=len(records)
    )
    Backfill(load_config(config), [], FileInput(paths=()), lambda _: None).take([piece])


def ago(clock: Clock, seconds: float) -> datetime:
    return datetime.fromtimestamp(clock.ns / 1e9, UTC) - timedelta(seconds=seconds)
