"""Naming: the thread that keeps the directory of names: all of it now and then, an unknown id at once.

Coder may be down, slow or closed to the token: nothing waits for it, and names follow later.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from shipper.coder.client import CoderClient
from shipper.config.settings import Coder
from shipper.directory.sync import UNKNOWN_MAX_COUNT, ask_unknown, sync
from shipper.errors import ConnlogError, RemoteBusy
from shipper.index.names import NamesKeeper
from shipper.service.pulse import Pulse
from shipper.status import NamesStatus
from shipper.timestamp import from_ns

LOOK_SECONDS = 2.0
"""How often it is looked for ids that nobody knows."""
BACKOFF_MIN_SECONDS, BACKOFF_MAX_SECONDS = 5.0, 600.0
OPEN_MAX_COUNT = 10_000
"""Unknown ids remembered until they are asked for; of more the rest is found by the next whole sync."""
SYNC_MIN_SECONDS = 60.0
"""Whole syncs that unknown ids cause are at least so far apart."""
MANY_WHOLE_SECONDS = 3600
"""Many unknown ids cause a sync of all users and workspaces, unless the last was so lately."""
END_SECONDS = 2.0
log = logging.getLogger(__name__)


class Naming:
    """The loop over Coder at ``settings.url`` into the index at ``path``. Other threads may call ``want`` and ``stop`` and
    ask ``pulse`` and ``status``."""

    def __init__(self, settings: Coder, path: Path) -> None:
        self.settings = settings
        self._path = path
        self._stop = threading.Event()
        self._client: CoderClient | None = None
        self._lock = threading.Lock()
        self._wanted: dict[tuple[str, str], None] = {}
        self.pulse = Pulse("names")
        self._status = NamesStatus(settings.url)
        self._synced = float("-inf")
        self._thread = threading.Thread(target=self._guarded, name="names", daemon=True)

    @property
    def status(self) -> NamesStatus:
        """How it is."""
        return self._status

    def start(self) -> None:
        """Let it begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it soon; a request that is under way is cut, since what it asks is asked again."""
        self._stop.set()
        client = self._client
        if client is not None:
            client.cut()
        if self._thread.is_alive():
            self._thread.join(END_SECONDS)
        self.pulse.end()

    def want(self, ids: Iterable[tuple[str, str]]) -> None:
        """Let these kinds and ids be asked for, if nobody knows them."""
        with self._lock:
            for one in ids:
                if len(self._wanted) >= OPEN_MAX_COUNT:
                    break
                self._wanted[one] = None

    def _guarded(self) -> None:
        try:
            self._run()
        except Exception as error:
            # The boundary of a worker: names are missed, and nothing else stops for that.
            log.exception("the thread names failed")
            self._note(last_error=f"the thread names failed: {type(error).__name__}; this is a fault of connlog")
        finally:
            self.pulse.end()

    def _run(self) -> None:
        backoff = BACKOFF_MIN_SECONDS
        while not self._stop.is_set():
            try:
                with CoderClient(self.settings, stop=self._stop, beat=self.pulse.beat) as client:
                    self._client = client
                    keeper = NamesKeeper(self._path)
                    try:
                        while not self._stop.is_set():
                            self._step(client, keeper)
                            backoff = BACKOFF_MIN_SECONDS
                            self.pulse.beat(LOOK_SECONDS)
                            self._stop.wait(LOOK_SECONDS)
                    finally:
                        keeper.close()
            except ConnlogError as error:
                if self._stop.is_set():
                    return
                if self._status.last_error is None:
                    log.warning("names can't be asked for, events go on without: %s", error)
                self._note(last_error=str(error), failures_count=self._status.failures_count + 1)
                wish = (error.retry_seconds or 0.0) if isinstance(error, RemoteBusy) else 0.0
                self.pulse.beat(max(backoff, wish))
                self._stop.wait(max(backoff, wish))
                backoff = min(2 * backoff, BACKOFF_MAX_SECONDS)

    def _step(self, client: CoderClient, keeper: NamesKeeper) -> None:
        """A whole sync if it is due, else the ids that nobody knows."""
        self.pulse.beat()
        now, now_ns = time.monotonic(), time.time_ns()
        self.want(keeper.new_ids())
        with self._lock:
            wanted = list(self._wanted)
        opened = keeper.open_ids(wanted, now_ns)
        due = now - self._synced >= self.settings.refresh_seconds
        many = len(opened) > UNKNOWN_MAX_COUNT and now - self._synced >= SYNC_MIN_SECONDS
        asked = client.requests_count, client.limited_count
        learnt = 0
        if due or many:
            # Many that nobody knows are found sooner in the whole list than one by one.
            every_seconds = MANY_WHOLE_SECONDS if many else self.settings.refresh_all_seconds
            done = sync(client, keeper, now_ns, whole_every_ns=every_seconds * 1_000_000_000)
            learnt = done.new
            self._synced = now
            if done.notes != self._status.notes:
                for note in done.notes:
                    log.warning("names: %s", note)
            self._note(notes=done.notes)
            opened = keeper.open_ids(opened, now_ns)
            if len(wanted) >= OPEN_MAX_COUNT:
                keeper.look_again()
        elif opened:
            learnt = ask_unknown(client, keeper, opened, now_ns)
            opened = keeper.open_ids(opened, now_ns)
        with self._lock:
            self._wanted = dict.fromkeys(opened) | {one: None for one in self._wanted if one not in wanted}
        if self._status.last_error is not None:
            log.info("names are asked for again")
        self._note(
            last_error=None,
            last_success=from_ns(now_ns) if due or many or learnt else self._status.last_success,
            requests_count=self._status.requests_count + client.requests_count - asked[0],
            limited_count=self._status.limited_count + client.limited_count - asked[1],
            learnt_count=self._status.learnt_count + learnt,
            open_count=len(opened),
        )

    def _note(self, **values: object) -> None:
        self._status = replace(self._status, **values)
