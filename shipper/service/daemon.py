"""The daemon: holds a state folder, reads all inputs into the journal and delivers it to all outputs, until told to stop."""

from __future__ import annotations

import logging
import os
import resource
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from shipper import __version__
from shipper.config import Config
from shipper.errors import ConfigError, ConnlogError, StateError, StateFull
from shipper.journal import Journal
from shipper.service.allocator import settle_allocator, settle_cycles
from shipper.service.crew import Crew
from shipper.service.diary import open_diary, settle_diary
from shipper.service.facts import gather
from shipper.service.herald import Herald
from shipper.service.listener import Listener
from shipper.service.lock import FULL, StateLock, refuse_newer
from shipper.service.stop import Stop
from shipper.status import Status, StatusFile, waiting_status
from shipper.text import counted
from shipper.timestamp import from_ns

if TYPE_CHECKING:
    from shipper.service.naming import Naming

STATUS_SECONDS = 1.0
AT_END_SECONDS = 0.1
"""How often it is asked whether the outputs have everything, once every input has ended."""
SWAP_SECONDS = 30.0
"""How long a reload waits for what it replaces to end; after that it is done, and says what still waits."""
OPEN_SECONDS = 600.0
"""How long the manager lets the journal be opened, proved and, where it is damaged, recovered."""
EXTEND_SECONDS = 30.0
"""What the manager is asked for at the beginning of the stop, and at each sign of progress during it."""
OPEN_FILES_MAX_COUNT = 65_536
log = logging.getLogger(__name__)


class Daemon:
    """One run of the service with ``config`` until ``stop`` is asked for; holds the state folder from the first moment.
    Raises StateFull where there is no room for that, and ConnlogError where it can't start."""

    def __init__(
        self, config: Config, stop: Stop, load: Callable[[], Config] | None = None, herald: Herald | None = None
    ) -> None:
        self._config = config
        self._load = load
        self._herald = herald if herald is not None else Herald()
        self._folder = config.state.dir
        self._host = socket.gethostname()
        self._started = from_ns(time.time_ns())
        self._state = "reading"
        self._stop = stop
        self._failed: str | None = None
        self._refused: str | None = None
        self._reloads_count = 0
        self._reloaded: list[str] = []
        self._alive = True
        self._make_folder()
        refuse_newer(self._folder)
        self._status_file = StatusFile(self._folder)
        self._lock = StateLock(self._folder)

    def run(self) -> int:
        """Work until the stop, then drain; returns the exit code. On a full disk the start waits for room."""
        try:
            while not self._stop.asked:
                try:
                    self._open()
                except StateFull as error:
                    log.warning("the start waits: %s", error)
                    self._write_file(waiting_status(__version__, self._started, str(error)))
                    _wait_for_room(self._stop, self._herald, error)
                else:
                    return self._work()
        finally:
            self._lock.close()
        log.info("stopped before anything was read")
        return 0

    def _open(self) -> None:
        """Open all parts, or none and raise."""
        config = self._config
        self._herald.extend(OPEN_SECONDS)
        with ExitStack() as undo:
            self._journal = Journal(
                self._folder / "journal.db",
                max_bytes=config.state.journal_max_bytes,
                quarantine_max_bytes=config.state.quarantine_max_bytes,
                delivered_max_bytes=config.state.delivered_max_bytes,
            )
            undo.callback(self._journal.close)
            self._naming = self._make_naming(config)
            self._crew = Crew(config, self._journal, self._host, self._fail, self._want)
            undo.pop_all()

    def _work(self) -> int:
        settle_cycles()
        self._listener = Listener(self._config.metrics.listen)
        log.info("connlog %s reads into %s (process %d)", __version__, self._folder, os.getpid())
        try:
            self._crew.start()
            if self._naming is not None:
                self._naming.start()
            self._herald.ready(self._write_status())
            while not self._stop.wait(AT_END_SECONDS if self._crew.at_end else STATUS_SECONDS):
                if self._stop.take_reload():
                    self._reload()
                self._tick()
                if self._crew.at_end and not any(output.pending for output in self._journal.outputs()):
                    log.info("every input has ended, and every output has what was read")
                    break
            self._state = "stopping"
            self._herald.stopping(self._write_status())
            if self._alive:
                self._herald.extend(EXTEND_SECONDS)
            if self._naming is not None:
                self._naming.stop()
            self._crew.end(self._tick_of_the_end)
            self._tell_what_stays()
            self._state = "stopped"
            self._write_status()
            self._journal.close()
        finally:
            self._listener.close()
            settle_diary()
        if self._failed is not None:
            log.error("stopped: %s", self._failed)
            return ConnlogError.exit_code
        log.info("stopped")
        return 0

    def _tick(self) -> None:
        """What is done each second: begin what waited, tell how things are."""
        self._crew.tend()
        self._listener.tend()
        self._herald.tell(self._write_status(), alive=self._alive)
        settle_diary()

    def _tell_what_stays(self) -> None:
        """That events wait is no fault at the end, but who stops a service for good has to know it."""
        try:
            outputs = self._journal.outputs()
        except StateError as error:
            log.warning("what the outputs have not taken can't be told: %s", error)
            return
        for output in outputs:
            if output.pending:
                what = counted(output.pending, "event")
                log.info("%s for output %s in the journal, to be delivered after the next start", what, output.name)

    def _tick_of_the_end(self) -> None:
        if self._alive:
            self._herald.extend(EXTEND_SECONDS)
        self._herald.tell(self._write_status(), alive=self._alive)

    # ---- reload --------------------------------------------------------------------------------

    def _reload(self) -> None:
        """Take over the configuration as it is now, or say why not and go on with the one that works."""
        self._herald.reloading()
        try:
            config = self._load_again()
            self._listener.move(config.metrics.listen)
        except ConfigError as error:
            self._refused = "; ".join(error.problems)
            for problem in error.problems:
                log.error("the reload is refused, all goes on as before: %s", problem)  # noqa: TRY400 - no fault of ours
        else:
            self._refused = None
            open_diary(level=config.log.level, form=config.log.format)
            limits = config.state
            self._journal.limit(
                max_bytes=limits.journal_max_bytes,
                quarantine_max_bytes=limits.quarantine_max_bytes,
                delivered_max_bytes=limits.delivered_max_bytes,
            )
            changed = self._crew.swap(config)
            changed += [
                name for name in ("state", "metrics", "log") if getattr(config, name) != getattr(self._config, name)
            ]
            if config.coder != self._config.coder:
                self._swap_naming(config)
                changed.append("coder")
            self._config = config
            self._reloaded = changed
            log.info("reloaded: %s", ", ".join(changed) if changed else "nothing has changed")
            deadline = time.monotonic() + SWAP_SECONDS
            while (waiting := self._crew.tend()) and not self._stop.wait(AT_END_SECONDS):
                self._herald.tell(self._write_status(), alive=self._alive)
                if time.monotonic() > deadline:
                    log.warning("the reload waits for what it replaces to end: %s", ", ".join(waiting))
                    break
        self._reloads_count += 1
        self._herald.ready(self._write_status())

    def _load_again(self) -> Config:
        """The configuration as it is now. Raises ConfigError where it is invalid, or needs a restart."""
        if self._load is None:
            raise ConfigError(["there is no configuration to load again; restart instead"])
        config, now = self._load(), self._config
        fixed: list[str] = []
        if config.state.dir != now.state.dir:
            fixed.append("state.dir has changed, which a reload can't do; restart, or take the change back")
        if problems := fixed + self._crew.obstacles(config):
            raise ConfigError(problems)
        return config

    def _swap_naming(self, config: Config) -> None:
        """Ask another Coder, or with another token."""
        if self._naming is not None:
            self._naming.stop()
        self._naming = self._make_naming(config)
        if self._naming is not None:
            self._naming.start()

    # ---- parts ---------------------------------------------------------------------------------

    def _want(self, ids: Iterable[tuple[str, str]]) -> None:
        """Ids that have no name; nobody is asked where no Coder is named."""
        if self._naming is not None:
            self._naming.want(ids)

    def _make_naming(self, config: Config) -> Naming | None:
        if not config.coder.url:
            return None
        # Imported here: who asks no Coder shall not pay for it.
        from shipper.service.naming import Naming

        return Naming(config.coder, self._folder / "index.db")

    def _make_folder(self) -> None:
        os.umask(0o027)
        try:
            self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            if error.errno in FULL:
                raise StateFull(f"{self._folder}: no room on the disk; make room, and it goes on by itself") from error
            raise StateError(f"{self._folder}: can't be made: {error.strerror}; choose another state.dir") from error
        # Every followed file is held open, so that its rotation loses nothing.
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = OPEN_FILES_MAX_COUNT if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX_COUNT)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    def _fail(self, message: str) -> None:
        self._failed = message
        self._stop.ask()

    # ---- status --------------------------------------------------------------------------------

    def _write_status(self) -> str:
        """Make the status known; returns its headline where a manager takes it."""
        try:
            status = self._status()
        except StateError as error:
            log.warning("the status can't be made: %s", error)
            return f"the status can't be made: {error}"
        self._listener.publish(status)
        self._write_file(status)
        for name in status.stalled:
            log.error("the thread %s makes no progress", name)
        self._alive = not status.stalled
        if not self._herald.heard:
            return ""
        from shipper.service.status_page import headline

        return headline(status)

    def _write_file(self, status: Status) -> None:
        try:
            self._status_file.write(status)
        except StateError as error:
            log.warning("%s", error)

    def _status(self) -> Status:
        return gather(
            self._journal,
            self._crew,
            self._naming,
            limits=self._config.state,
            started=self._started,
            state=self._state,
            listener=self._listener,
            refused=self._refused,
            reloads_count=self._reloads_count,
            reloaded=self._reloaded,
        )


def run_daemon(config: Config, stop: Stop, load: Callable[[], Config] | None = None) -> int:
    """Run the service with ``config`` until ``stop`` is asked for; returns the exit code. Raises ConnlogError.
    ``load`` gives the configuration anew for a reload.

    On a full disk it waits for room: nothing is lost meanwhile that the log's own files keep.
    """
    settle_allocator()
    herald = Herald()
    try:
        while not stop.asked:
            try:
                daemon = Daemon(config, stop, load, herald)
            except StateFull as error:
                log.warning("the start waits: %s", error)
                _wait_for_room(stop, herald, error)
            else:
                return daemon.run()
    finally:
        herald.close()
    log.info("stopped before anything was read")
    return 0


def _wait_for_room(stop: Stop, herald: Herald, error: StateFull) -> None:
    """Wait a moment, as a service that is up: the manager must neither wait for it nor start it again."""
    settle_cycles()
    herald.ready(f"the start waits: {error}")
    herald.tell(f"the start waits: {error}", alive=True)
    settle_diary()
    stop.wait(STATUS_SECONDS)


__all__ = ["Daemon", "run_daemon"]
