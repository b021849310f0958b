"""A journal with events, and an output over it that delivers to a HEC server of the tests."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from shipper.config import SplunkHecOutput
from shipper.config.settings import State
from shipper.journal import Batch, Journal, Piece
from shipper.outputs.hec.state import HecState
from shipper.outputs.hec.wrapping import HecWrapping
from shipper.record import CompactLog, CompactRecord, CompactSource, Gap, Record, encoded
from shipper.service.dispatch import Dispatch
from shipper.service.outlet import Want, open_output
from tests.hec.server import HecServer
from tests.hec.token import TOKEN

TIME = "2026-01-02T03:04:05.123456789Z"
WAIT_SECONDS = 60.0


def record(number: int, **values: Any) -> Record:
    source = CompactSource("coder-0", "file", "/var/log/coder.json", number)
    fields: dict[str, Any] = {"type": "ssh", "log": CompactLog(time=TIME), "source": source} | values
    return CompactRecord(1, str(uuid.UUID(int=number)), fields.pop("time", TIME), "connected", **fields)


def name(number: int) -> str:
    return str(uuid.UUID(int=number))


def wait(condition: Callable[[], bool], seconds: float = WAIT_SECONDS) -> bool:
    """Whether it came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


class Rig:
    """A state folder, and an output on it that can be started, stopped and started again."""

    def __init__(self, folder: Path, *urls: str) -> None:
        self.folder = folder
        self.urls = urls
        self.token = folder / "hec-token"
        self.token.write_text(TOKEN + "\n")
        self.options: dict[str, Any] = {
            "batch_age_seconds": 0.0,
            "backoff_max_seconds": 0.1,
            "ack_poll_seconds": 0.1,
            "connect_timeout_seconds": 2.0,
        }
        self.journal = Journal(folder / "journal.db")
        self.journal.register("splunk_hec")
        self._wrapping = HecWrapping("coder:connection_log", "")
        self._batches_count = 0
        self.dispatch: Dispatch | None = None
        self.want: Want | None = None
        self._thread: threading.Thread | None = None

    def append(self, *numbers: int, gaps: Sequence[Gap] = (), **values: Any) -> None:
        """One batch of the journal; every second one is kept as the output sends it."""
        self._batches_count += 1
        self.journal.write_for(self._wrapping if self._batches_count % 2 else None, originals=True)
        records = [encoded(record(number, **values)) for number in numbers]
        piece = Piece("/f", records, [b"line"] * len(records), [], len(records))
        self.journal.append(Batch((piece,) if records else (), gaps=tuple(gaps)))
        if self.dispatch is not None:
            self.dispatch.wake()

    def start(self, **options: Any) -> Dispatch:
        """Open the output and let it run."""
        self.options |= options
        settings = SplunkHecOutput(endpoints=self.urls, token_file=self.token, **self.options)
        opened = open_output(settings, self.journal, State(dir=self.folder), self.want)
        assert isinstance(opened, Dispatch)
        self.dispatch = opened
        self._thread = threading.Thread(target=opened.run, daemon=True)
        self._thread.start()
        return opened

    def stop(self, drain_seconds: float = 0.0) -> None:
        """Let it end."""
        if self.dispatch is not None and self._thread is not None:
            self.dispatch.stop(drain_seconds)
            self._thread.join(WAIT_SECONDS)
            assert not self._thread.is_alive()
            self.dispatch = self._thread = None

    def state(self) -> HecState:
        """What it tells of itself."""
        assert self.dispatch is not None
        state = self.dispatch.hec
        assert state is not None
        return state

    def empty(self) -> bool:
        """Whether every batch is delivered."""
        return self.journal.depth().batches == 0

    def delivered(self) -> bool:
        """Wait until every batch is."""
        return wait(self.empty)

    def close(self) -> None:
        """The end."""
        self.stop()
        self.journal.close()


@pytest.fixture
def server() -> Iterator[HecServer]:
    with HecServer() as one:
        yield one


@pytest.fixture
def rig(tmp_path: Path, server: HecServer) -> Iterator[Rig]:
    one = Rig(tmp_path, server.url)
    yield one
    one.close()
